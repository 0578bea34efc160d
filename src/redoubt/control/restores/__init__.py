"""Restores started by statements."""
