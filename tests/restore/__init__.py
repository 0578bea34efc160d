"""Restoring: plans, directories made by them, and engines that open those."""
