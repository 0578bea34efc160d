"""`redoubt follow --live`: a standby whose engine replays the log while it comes, and answers reads."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

from redoubt.archive.archived_log import ArchivedLog
from redoubt.cli.activate import listening
from redoubt.cli.follow import StoppedError, asked_to_end, shown_progress
from redoubt.cli.printing import Changes, complain
from redoubt.cli.rehearsing import chosen_tenant, utc_text
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.rehearsal.live_standby import LiveStandby
from redoubt.rehearsal.standby import Standby

_SAY_EVERY = 60.0
_SOON = 1.0


def follow_live(uri: str, tenant: str | None, directory: Path, *, memory: str, interval: float) -> int:
    """Follow until SIGTERM or Ctrl-C; returns the exit status: 0, or 1 if that could not be done."""
    path = directory.absolute()
    try:
        destination = open_destination(uri)
        with asked_to_end():
            followed = chosen_tenant(destination, tenant)
            kind = engine_kind(followed.engine_kind)
            with shown_progress() as progress:
                restoring = Standby(
                    destination, followed, path, lambda lsn: kind.layer(path, lsn), kind.cutter, progress
                )
                state = restoring.begin()
        feed = ArchivedLog(destination, followed, kind.cutter, source=state.of.source, interval=interval)
        tell = Changes(complain).tell
        standby = LiveStandby(kind.standby(path, memory), feed, lambda of: kind.log_source(of, tell), complain)
        asyncio.run(_follow(standby, path, kind.socket(path)))
    except StoppedError:
        _say("stopped before the base was there; to go on, run the command again")
    except (RedoubtError, OSError) as error:
        complain(error)
        return 1
    return 0


async def _follow(standby: LiveStandby, path: Path, sql: Path) -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with listening(path, standby):
        _say(f"starting an engine in {path}, which follows the archive")
        running = asyncio.create_task(standby.run())
        ending = asyncio.create_task(ended.wait())
        reporting = asyncio.create_task(_report(standby, sql))
        await asyncio.wait({running, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in (reporting, ending, running):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await running  # raises what ended it
    if standby.is_primary:
        _say(f"stopped; run redoubt replay {path}, which rolls back what was open; then the directory can be opened")
    else:
        _say(f"stopped; to go on, run the command again; to take over, run: redoubt activate {path}")


async def _report(standby: LiveStandby, socket: Path) -> None:
    """Say when the engine has its first log, and then once a minute how far it is."""
    await standby.follows.wait()
    _say(f"the engine follows; it answers reads on {socket}")
    while not standby.is_primary:
        place = standby.received
        if place.scn:  # the time of the first place is unknown until more log comes
            _say(f"log received up to {utc_text(place.scn)} (LSN {place.lsn})")
        with suppress(TimeoutError):
            async with asyncio.timeout(_SAY_EVERY if place.scn else _SOON):
                await standby.has_taken_over.wait()
    _say(f"the engine has taken over: it writes now, on {socket}, and goes on until this command ends")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - one line at a time, for scripts that wait for a line
