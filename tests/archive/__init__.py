"""Tests of the way from verified log to objects in a destination, and back."""
