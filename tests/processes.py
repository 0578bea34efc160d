"""What processes do that tests have started, by the kernel's word."""

from __future__ import annotations

from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)
"""What is raised for a process that has ended: before its file is opened, or between that and the reading of it."""


def state_of(pid: int) -> str:
    """The letter for what a process does, X if there is none."""
    return _state(Path(f"/proc/{pid}"))


def thread_states(pid: int) -> set[str]:
    """The letters for what the threads of a process do, X for one that has just ended; empty if there is no process."""
    try:
        return {_state(task) for task in Path(f"/proc/{pid}/task").iterdir()}
    except _GONE:
        return set()


def is_alive(pid: int) -> bool:
    """Whether a thread of a process is left: one that was killed may be a zombie while a thread waits for a disk."""
    return not thread_states(pid) <= set("ZX")


def _state(folder: Path) -> str:
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()[0]
    except _GONE:
        return "X"
