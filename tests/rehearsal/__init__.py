"""Tests of rehearsals: drills, and a directory that follows an archive."""
