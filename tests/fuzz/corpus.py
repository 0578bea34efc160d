"""The inputs that a target begins with: `python -m tests.fuzz.corpus` writes the seeds of all targets into the corpus.

Files that are not seeds (what a run found, `found-…`) are left alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .target import Target
from .targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


def corpus_of(target: Target) -> dict[str, bytes]:
    """The files of a target by name, in order."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / target.name).iterdir())}


def write_seeds(target: Target) -> None:
    """Write a target's seeds."""
    folder = CORPUS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in target.seeds():
        (folder / name).write_bytes(data)


def keep(target: Target, data: bytes, why: str) -> Path:
    """Save an input that something is wrong with; its name is the same each time."""
    path = CORPUS / target.name / f"found-{why}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


if __name__ == "__main__":
    for each in TARGETS.values():
        write_seeds(each)
