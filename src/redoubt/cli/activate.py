"""`redoubt activate`: a standby becomes a primary, in the place where it is.

While `redoubt follow --live` runs, the command asks it for that, at a unix socket in the directory: a line of JSON goes
there, and lines come back, what is being done and then `done` or `error`. Otherwise it starts an engine there once.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redoubt.cli.printing import complain, console
from redoubt.cli.rehearsing import logins_for
from redoubt.cli.replay import start_once
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.model.keeping import EngineSizes
from redoubt.model.own_files import OwnFiles
from redoubt.model.scratch_engine import Login
from redoubt.model.standby import TakeOverError
from redoubt.rehearsal.live_standby import LiveStandby
from redoubt.restore.restoring import RestoreError, restored_in

_LONGEST_LINE = 64 * 1024


def activate(directory: Path, user: str | None, password: str, home: Path | None, *, without_archive: bool) -> int:
    """Make the standby in a directory a primary; returns the exit status: 0, or 1 if it could not be done."""
    began = time.monotonic()
    try:
        restored = restored_in(directory)
        if restored is None:
            raise RestoreError(f"{directory} is no standby: redoubt follow makes one")
        kind = engine_kind(restored.of.engine_kind)
        logins = logins_for(kind, restored.of.source, restored.of.tenant_id, user, password, home)
        if (talk := _follower(directory)) is not None:
            with talk:
                _ask(talk, logins, without_archive=without_archive)
            answers = f"the engine writes, on {kind.socket(directory)}, until redoubt follow ends"
        else:
            kind.standby(directory, EngineSizes().memory_budget).refuse_opened()
            started = start_once(kind, directory, logins[0], flush=False)
            if started.trouble:
                raise TakeOverError(started.trouble)
            answers = "the directory can be opened"
    except (RedoubtError, OSError) as error:
        complain(error)
        return 1
    _say(f"{directory} has taken over after {time.monotonic() - began:.2f} s: {answers}")
    return 0


@asynccontextmanager
async def listening(directory: Path, standby: LiveStandby) -> AsyncIterator[None]:
    """Do what `redoubt activate` asks for while the context is open. Raises RestoreError if another process does."""
    path = OwnFiles(directory).follower
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise RestoreError(
            f"another redoubt follow --live keeps an engine in {directory}; end that one first"
        ) from error
    path.unlink(missing_ok=True)  # of one that was killed

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _answer(standby, reader, writer)
        finally:
            writer.close()

    try:
        server = await asyncio.start_unix_server(serve, path, limit=_LONGEST_LINE)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)
    finally:
        os.close(lock)


async def _answer(standby: LiveStandby, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    def tell(**what: str) -> None:
        writer.write(json.dumps(what).encode() + b"\n")

    try:
        asked: Any = json.loads(await reader.readline())
        logins = [Login(each["user"], each["password"]) for each in asked["logins"]]
        await standby.activate(logins, lambda line: tell(say=line), without_archive=bool(asked["without_archive"]))
    except RedoubtError as error:
        tell(error=str(error))
    except (ValueError, TypeError, KeyError):
        tell(error="the request is not one of redoubt activate")
    else:
        tell(done="")
    await writer.drain()


def _follower(directory: Path) -> socket.socket | None:
    """A connection to the command that keeps the engine following, None if none runs. Raises OSError."""
    talk = socket.socket(socket.AF_UNIX)
    try:
        talk.connect(str(OwnFiles(directory).follower))
    except (FileNotFoundError, ConnectionRefusedError):
        talk.close()
        return None
    return talk


def _ask(talk: socket.socket, logins: list[Login], *, without_archive: bool) -> None:
    """Ask for the activation, and show what is done until it is done. Raises TakeOverError."""
    told = [{"user": each.user, "password": each.password} for each in logins]
    talk.sendall(json.dumps({"logins": told, "without_archive": without_archive}).encode() + b"\n")
    with talk.makefile("rb") as lines, console(error=True).status("asking redoubt follow") as status:
        for line in lines:
            told_now: dict[str, str] = json.loads(line)
            if "error" in told_now:
                raise TakeOverError(told_now["error"])
            if "done" in told_now:
                return
            status.update(told_now["say"])
    raise TakeOverError("redoubt follow ended meanwhile; run the command again")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the result, for people and scripts
