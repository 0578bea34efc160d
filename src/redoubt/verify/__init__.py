"""Verifies what a destination holds, and says which moments a damaged object costs."""
