"""One test for each seam, which every implementation of it runs."""
