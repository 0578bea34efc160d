"""Tests of the pure decisions: rounds and log positions."""
