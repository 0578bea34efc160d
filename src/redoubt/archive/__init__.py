"""What lies in a destination: objects that hold verified log, how they are named, made and read back."""
