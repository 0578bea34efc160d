"""The cluster's parameters and their values."""
