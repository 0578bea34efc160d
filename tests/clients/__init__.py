"""The same statements through every client that people use."""
