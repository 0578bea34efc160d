"""Verifying a destination, what its windows are, and the catalog made anew from it."""
