"""The modes: how far each tenant's archive is behind, the write gate, synchronous commits, and the record of it all."""
