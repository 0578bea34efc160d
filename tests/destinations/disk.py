"""A disk that keeps a record of what is done to it, does as little as it may, and fails when it is told to."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

_AT_ONCE = 1000
"""Bytes that a single write takes."""


class PowerLossError(BaseException):
    """The power is gone: nothing more happens, not even what stands in a `finally`."""


@dataclass
class Disk:
    """Between the code and the operating system while `running`; `calls` says what was done, in order.

    `failing` is asked before each call, and may give what is raised instead of it.
    """

    failing: Callable[[str, int], BaseException | None] = lambda _call, _number: None
    calls: list[str] = field(default_factory=list)
    _paths: dict[int, Path] = field(default_factory=dict)
    _unsynced: set[Path] = field(default_factory=set)
    _new_names: dict[Path, Path] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Stand in for the system's calls that change a file system."""
        doubles: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "write": self._write,
            "fsync": self._fsync,
            "link": self._link,
            "mkdir": self._mkdir,
            "unlink": self._unlink,
        }
        self._real = {name: getattr(os, name) for name in doubles}
        with ExitStack() as stack:
            for name, double in doubles.items():
                stack.enter_context(mock.patch.object(os, name, double))
            yield

    def lose_power(self, is_kept: Callable[[], bool]) -> None:
        """Do the worst that a power cut may do: lose what was not fsynced, and of new names those that are not kept."""
        for path in self._unsynced:
            if path.exists():
                os.truncate(path, path.stat().st_size // 2)
        for path in reversed(self._new_names):
            if not path.exists() or is_kept():
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _step(self, call: str) -> None:
        error = self.failing(call, len(self.calls))
        self.calls.append(call)
        if error is not None:
            raise error

    def _open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self._step(f"create {_shown(path)}")
            self._new_names[path] = path.parent
            self._unsynced.add(path)
        descriptor: int = self._real["open"](path, flags, mode)
        self._paths[descriptor] = path
        return descriptor

    def _write(self, descriptor: int, data: memoryview) -> int:
        self._step(f"write {_shown(self._paths[descriptor])}")
        written: int = self._real["write"](descriptor, data[:_AT_ONCE])
        return written

    def _fsync(self, descriptor: int) -> None:
        path = self._paths[descriptor]
        self._step(f"fsync {_shown(path)}")
        self._real["fsync"](descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._new_names = {name: folder for name, folder in self._new_names.items() if folder != path}
        self._unsynced.discard(path)

    def _link(self, source: Path, name: Path) -> None:
        self._step(f"link {_shown(name)}")
        self._real["link"](source, name)
        self._new_names[name] = name.parent
        if source in self._unsynced:
            self._unsynced.add(name)

    def _mkdir(self, path: Path, mode: int = 0o777) -> None:
        self._step(f"mkdir {_shown(path)}")
        self._real["mkdir"](path, mode)
        self._new_names[path] = path.parent

    def _unlink(self, path: Path) -> None:
        self._step(f"unlink {_shown(path)}")
        self._real["unlink"](path)


def _shown(path: Path) -> str:
    """A path's last part, with all temporary names alike."""
    return ".part" if path.name.startswith(".part-") else path.name
