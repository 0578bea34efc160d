"""Restores a destination's backups into a directory that an engine opens."""
