"""The cluster's tenants: made, dropped, and looked up by name."""
