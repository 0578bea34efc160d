"""Rounds of log archiving: statements start and stop a round; events of the archive worker advance it."""
