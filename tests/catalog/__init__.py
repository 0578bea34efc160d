"""Tests of the catalog on a real engine, read as a user would."""
