"""The catalog: OceanBase's inner tables and views for log backup, kept in the sys engine."""
