"""Tests of `redoubt.sql`; a package, so that its modules may be called what those of other packages are."""
