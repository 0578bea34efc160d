"""Rehearsing the way back: a restore that is started, looked at, and put on record."""
