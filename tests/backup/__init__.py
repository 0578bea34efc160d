"""Tests of taking data backups."""
