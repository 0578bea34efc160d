"""The messages between processes: one JSON object per line."""
