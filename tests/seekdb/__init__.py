"""Tests against a real embedded engine and its log."""
