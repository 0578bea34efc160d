"""What processes tell each other: one JSON object a line."""
