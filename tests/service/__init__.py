"""Tests of the whole service: the real command, real engines, real clients."""
