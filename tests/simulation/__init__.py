"""The simulator: the archive under a simulated operating system, engine, clock and scheduler, all from one seed."""
