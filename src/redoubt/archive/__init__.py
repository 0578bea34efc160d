"""From verified log to immutable objects in a destination, and back."""
