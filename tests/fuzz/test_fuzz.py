"""The short run: every input of the corpus, and a fixed series of mutations, for each target."""

from __future__ import annotations

from pathlib import Path

import pytest

from .corpus import CORPUS, corpus_of
from .driver import Findings, check_some, place_of, run, try_one
from .known import KNOWN
from .target import Target
from .targets import TARGETS

INPUTS = [(target, name) for target in TARGETS.values() for name in corpus_of(target)]


@pytest.mark.parametrize(("target", "name"), INPUTS, ids=[f"{target.name}-{name}" for target, name in INPUTS])
def test_the_corpus(target: Target, name: str) -> None:
    """What was telling once is right today."""
    data = corpus_of(target)[name]
    try:
        target.check(data)
    except Exception as error:
        known = KNOWN.get((target.name, place_of(error)))
        if known:
            pytest.xfail(known)
        raise


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_some_mutations(target: Target) -> None:
    """The same ones each time; an input that fails is saved in the corpus."""
    check_some(target, seed=20)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS.keys())
def test_the_corpus_has_the_seeds(target: Target) -> None:
    """It was written with `python -m tests.fuzz.corpus` after the last change of the seeds."""
    assert {name for name, _ in target.seeds()} <= corpus_of(target).keys()


def test_the_corpus_is_small() -> None:
    """It is read by everyone who clones the repository."""
    assert sum(path.stat().st_size for path in CORPUS.glob("*/*")) < 1_000_000
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


def test_what_fails_is_saved_once_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver goes on after a failure; the file holds the input."""
    monkeypatch.setattr("tests.fuzz.corpus.CORPUS", tmp_path)

    def check(data: bytes) -> str:
        if data[:1] == b"x":
            raise ValueError("no x")
        return "fine"

    target = Target("sample", check, list)
    findings = Findings()
    (tmp_path / "sample").mkdir()
    for data in (b"x1", b"y", b"x2"):
        try_one(target, data, findings)

    (saved,) = findings.failures.values()
    assert saved.read_bytes() == b"x1"
    assert findings.answers == {"ValueError-test_fuzz-check": 2, "fine": 1}
    with pytest.raises(ValueError, match="no x") as raised:
        check_some(target, seed=1)
    assert "saved as" in raised.value.__notes__[0]
    assert run(target, 0.05, seed=1).executions > 0
