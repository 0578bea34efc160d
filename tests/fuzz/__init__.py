"""Fuzzing of everything in Redoubt that reads bytes which it did not write.

A target (`targets.py`) is a check over bytes: it says in a word or two what became of them, and raises when a reader
broke its contract. What is thrown at it is a corpus (`corpus/<target>/`, made by `python -m tests.fuzz.corpus`), and
mutations of it that know a little of the formats (`mutation.py`; each target can make its checksums right again).

`make test` replays the corpus and a fixed series of mutations. `make fuzz` looks for new ones, guided by coverage where
atheris can be installed, saves what it finds in the corpus, and says how to replay it.
"""
