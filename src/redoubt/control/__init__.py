"""Runs Redoubt's statements: parameters, tenants, rounds, backups, restores, and their processes."""
