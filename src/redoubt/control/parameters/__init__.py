"""The cluster's parameters: which there are, and what they are set to."""
