"""Tests of the gateway, against real engines where one can show it."""
