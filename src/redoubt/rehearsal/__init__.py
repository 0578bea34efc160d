"""Trying a restore before it is needed: drills, and new bases made from old ones and the log."""
