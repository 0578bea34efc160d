"""The figures of `docs/BENCHMARKS.md`, measured on the machine at hand with real engines: `make bench`."""
