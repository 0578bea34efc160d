"""Rehearses restores: drills, standbys, and roll-forward of data backups."""
