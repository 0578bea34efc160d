"""The modes of log archiving: backlog, write gate, synchronous commit, and the record of events and holes."""
