"""The archiver: reads verified log, seals it into segments, stores, merges and freezes them; one job for each piece."""
