"""Rounds of log archiving: begun and ended by statements, moved on by what the archive worker tells."""
