"""Data backups as statements start them, and the deletion of backups."""
