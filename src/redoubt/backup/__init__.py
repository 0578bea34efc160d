"""Data backups: a copy of an engine's files at one instant, taken while it runs."""
