"""Standby tenants: they follow archived log, until they take over."""
