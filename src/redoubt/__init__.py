"""Redoubt: continuous, verified log backup for OceanBase seekdb, operated with OceanBase's own SQL."""

__version__ = "0.1.0"
