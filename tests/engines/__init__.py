"""The registry of engine kinds."""
