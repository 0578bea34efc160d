"""Data backups, and the deletion of backups."""
