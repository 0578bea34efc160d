"""OceanBase seekdb: the embedded OceanBase kernel of the `pylibseekdb` wheel, its processes and its redo log."""
