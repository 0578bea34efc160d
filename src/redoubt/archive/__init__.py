"""The objects in a destination: their names and formats, and how they are written and read."""
