"""Pure decisions and the seams between the rooms. Nothing here does I/O or knows another package."""
