"""Tests of what statements do, with fakes for the worker, the engine and the catalog."""
