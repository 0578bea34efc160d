"""Verifies the contents of a destination, and names the moments lost by damaged objects."""
