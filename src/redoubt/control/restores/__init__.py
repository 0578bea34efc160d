"""Restores as statements start them."""
