"""Directories of engines that applications run with pylibseekdb: checking, entering and leaving such a directory.

Such an engine lives as long as the application holds its lock. Redoubt never takes that lock, so Redoubt neither starts
the engine nor keeps it running. Redoubt's own files are in `redoubt/` beside the engine's folders.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import structlog

from redoubt.engines.seekdb.account import NAME, ensure_account
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import MAX_SOCKET_PATH, BaseDir, block_ids
from redoubt.engines.seekdb.pausing import resume_stopped
from redoubt.model.engine_kind import SourceError

_log = structlog.get_logger("redoubt.engines.external")


def check(base: BaseDir, home: Path) -> None:
    """See `EngineKind.check_source`; blocks."""
    home = home.resolve()
    if base.path.is_relative_to(home) or home.is_relative_to(base.path):
        raise SourceError(
            f"{base.path} overlaps with the service's home {home}; name the directory of an application's engine"
        )
    if len(os.fsencode(base.socket)) > MAX_SOCKET_PATH:
        raise SourceError(
            f"the path of the unix socket {base.socket} is longer than {MAX_SOCKET_PATH} bytes; move the application's "
            "directory to a shorter path"
        )
    try:
        _check_owner(base)
        blocks = block_ids(base.log)
        if not blocks:
            raise SourceError(
                f"{base.path} is not a seekdb directory: {base.log} has no redo log; name the directory that the "
                "application passes to pylibseekdb.open, after the application has opened it"
            )
        _try_to_hold(base, base.log / str(blocks[-1]))
    except OSError as error:
        raise SourceError(
            f"cannot archive log from {base.path}: {error}; the service's user must be able to read the redo log and "
            "to write in that directory, and both must be on one file system"
        ) from error


def enter(base: BaseDir) -> None:
    """Make sure that the service's account exists. Raises OSError if the engine does not answer, AccountError."""
    _check_owner(base)
    base.ours.mkdir(mode=0o700, exist_ok=True)
    resume_stopped(base)
    try:
        ensure_account(base)
    except OSError as error:
        raise ConnectionError(absence(base.path, error)) from error


def _check_owner(base: BaseDir) -> None:
    """Check that nobody but the service's user can put something else in the place of the directory or of `redoubt`.

    Otherwise the service would write, link and remove files where another user wants it to. Raises PermissionError.
    """
    if base.path.resolve() != base.path:
        raise PermissionError(f"{base.path} has become a symbolic link; put the directory back, or drop the tenant")
    for path in (base.path, base.ours):
        try:
            found = path.lstat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(
                f"{path} must be a directory that belongs to the service's user (user id {os.geteuid()}), and is "
                f"{stat.filemode(found.st_mode)} of user id {found.st_uid}; run the service as the application's user"
            )
        if found.st_mode & stat.S_IWOTH:
            raise PermissionError(f"every user can write in {path}; run chmod o-w {path}")


def absence(path: Path, error: OSError) -> str:
    """The cause that is shown while an application's engine does not answer."""
    return f"the application's engine in {path} does not answer ({error}); start the application, archiving waits"


def leave(engine: SeekdbEngine, *, force: bool) -> str:
    """Remove the held log, the account and the folder; blocks. Returns what the user must remove, empty for nothing.

    The account stays if the engine does not answer.
    Raises OSError if files cannot be removed, and without `force` also if the engine would continue to refuse writes.
    """
    if not force:
        _check_owner(engine.base)
    try:
        engine.open_writes()
    except OSError as error:
        if not force:
            raise ConnectionError(
                f"the write gate has set read_only in {engine.base.path}: start the application, so that Redoubt can "
                f"reset read_only ({error})"
            ) from error
        _log.error("cannot reset read_only, writes stay refused", directory=str(engine.base.path), cause=str(error))
    left = ""
    try:
        engine.run(f"DROP USER IF EXISTS {NAME}")
    except OSError:
        left = (
            f"the application's engine in {engine.base.path} does not answer, so Redoubt's account is still in it: "
            f"start the application, log in to {engine.base.socket} as root and run DROP USER {NAME}"
        )
        _log.warning("the account is left in the application's engine", directory=str(engine.base.path), user=NAME)
    engine.close()
    engine.release_all_log()  # from here on nobody links blocks in the folder
    if engine.base.ours.exists():
        shutil.rmtree(engine.base.ours)
    _log.info("removed Redoubt's files from an application's directory", directory=str(engine.base.path))
    return left


def _try_to_hold(base: BaseDir, block: Path) -> None:
    """Read a block and hard-link the block, as holding log does. Raises OSError."""
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
