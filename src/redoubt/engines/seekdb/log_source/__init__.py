"""The kernel's own standby protocol: serves archived log to seekdb engines that follow it."""
