"""The way back: from a destination to a directory that an engine opens."""
