"""Directories of engines that applications run with pylibseekdb: what may be one, what we leave in it and take away.

Such an engine lives as long as the application holds its lock. We never take that lock, so we neither start the engine
nor keep it running; what is ours lies in `redoubt/` beside the engine's own folders.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import structlog

from redoubt.engines.seekdb.account import NAME, ensure_account
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import MAX_SOCKET_PATH, BaseDir, block_ids
from redoubt.engines.seekdb.pausing import resume_stopped
from redoubt.model.engine_kind import SourceError

_log = structlog.get_logger("redoubt.engines.external")


def check(base: BaseDir, home: Path) -> None:
    """Whether log can be read and held there; blocks. Leaves nothing behind. Raises SourceError."""
    home = home.resolve()
    if base.path.is_relative_to(home) or home.is_relative_to(base.path):
        raise SourceError(f"{base.path} is or holds the service's own; name the directory of an application's engine")
    if len(os.fsencode(base.socket)) > MAX_SOCKET_PATH:
        raise SourceError(
            f"{base.socket} is longer than the {MAX_SOCKET_PATH} bytes that a unix socket's path may have"
        )
    try:
        blocks = block_ids(base.log)
        if not blocks:
            raise SourceError(
                f"{base.path} is no seekdb directory: there is no redo log in {base.log}; name the directory that the "
                "application gives to pylibseekdb.open, after it has done so"
            )
        _try_to_hold(base, base.log / str(blocks[-1]))
    except OSError as error:
        raise SourceError(
            f"log cannot be archived from {base.path}: {error}; the service's user must be able to read the redo log "
            "and to write in that directory, on one file system"
        ) from error


def enter(base: BaseDir) -> None:
    """Have the service's account on the engine. Raises OSError while it does not answer, AccountError."""
    base.ours.mkdir(mode=0o700, exist_ok=True)
    resume_stopped(base)
    try:
        ensure_account(base)
    except OSError as error:
        raise ConnectionError(absence(base.path, error)) from error


def absence(path: Path, error: OSError) -> str:
    """What is said while an application's engine does not answer."""
    return f"the application that runs the engine in {path} is not there, archiving waits for it ({error})"


def leave(engine: SeekdbEngine, *, force: bool) -> None:
    """Take away what is ours: held log, account, folder; blocks. The account stays where the engine does not answer.

    Raises OSError if the engine would go on refusing writes for our sake, but not with `force`.
    """
    try:
        engine.open_writes()
    except OSError as error:
        if not force:
            raise ConnectionError(
                f"read_only is set in {engine.base.path} for the write gate's sake: start the application, so that it "
                f"can be taken back ({error})"
            ) from error
        _log.error("read_only stays set", directory=str(engine.base.path), cause=str(error))
    with suppress(OSError):
        engine.run(f"DROP USER IF EXISTS {NAME}")
    engine.close()
    if engine.base.ours.exists():
        shutil.rmtree(engine.base.ours)
    _log.info("left an application's directory", directory=str(engine.base.path))


def _try_to_hold(base: BaseDir, block: Path) -> None:
    """Read a block and link it, as holding log does. Raises OSError."""
    was_there = base.ours.is_dir()
    base.ours.mkdir(mode=0o700, exist_ok=True)
    probe = base.ours / "probe"
    try:
        probe.unlink(missing_ok=True)
        os.link(block, probe)
        with block.open("rb") as file:
            file.read(1)
        probe.unlink()
    finally:
        if not was_there:
            shutil.rmtree(base.ours, ignore_errors=True)
