"""`redoubt repair-catalog`: enters the rounds and data backups of a destination into a home's catalog.

The service must not run, because it keeps the current round in its memory. The command starts and stops the sys engine.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from redoubt.archive.archived_history import ForeignDestinationError, cluster_of, history
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.repair import Repair, carry_out, plan
from redoubt.catalog.session import CatalogError, CatalogSession
from redoubt.cli.printing import complain, console
from redoubt.config import load_config
from redoubt.destinations.uri import open_destination
from redoubt.engines.registry import engine_kind
from redoubt.errors import RedoubtError
from redoubt.home import Home, HomeError
from redoubt.logs import log_to
from redoubt.model.engine_kind import SEEKDB
from redoubt.model.history import History
from redoubt.model.keeping import AccountError, EngineSizes, EngineStartError

_HELD_UP = 2
_PATIENCE = 60.0
_PAUSE = 0.1
_Done = TypeVar("_Done")


def repair_catalog(uri: str, home_path: Path, config_path: Path | None, *, is_dry_run: bool) -> int:
    """Repair a home's catalog from a destination.

    The exit status: 0; 2 if a running round prevents some of the repair; 1 if the repair could not be done.
    """
    home = Home(home_path.absolute())
    try:
        sizes = _sizes(config_path)
        with _locked(home):
            found = _history(home, uri)
            with _catalog(home, sizes) as session:
                repair = _as_soon_as_possible(lambda: plan(session, found, uri))
                if not is_dry_run:
                    _as_soon_as_possible(lambda: carry_out(session, repair))
    except (EngineStartError, AccountError, CatalogError) as error:
        complain(f"cannot reach the catalog of {home.path}: {error}")
        return 1
    except RedoubtError as error:
        complain(error)
        return 1
    _print(console(), found, repair, is_dry_run=is_dry_run)
    return _HELD_UP if repair.held_up else 0


def _sizes(config_path: Path | None) -> EngineSizes:
    section = load_config(config_path).engine
    return EngineSizes(section.memory_budget, section.log_disk_size)


def _history(home: Home, uri: str) -> History:
    destination = open_destination(uri)
    try:
        path = cluster_of(destination, home.identity())
    except ForeignDestinationError as error:
        raise ForeignDestinationError(f"{uri} is not the destination of the cluster in {home.path}: {error}") from error
    return history(destination, path, uri)


@contextmanager
def _locked(home: Home) -> Iterator[None]:
    """Hold the lock of a home. Raises HomeError, also if the path is not a home."""
    if not (home.path / "identity").is_file():
        raise HomeError(f"{home.path} is not the home of a cluster: 'identity' is missing; name a home with --home")
    home.prepare()
    lock = home.lock()
    try:
        yield
    finally:
        os.close(lock)


@contextmanager
def _catalog(home: Home, sizes: EngineSizes) -> Iterator[CatalogSession]:
    """The catalog in a sys engine that runs while the context is open; creates missing tables."""
    log_to(home.log)
    kind, sys = engine_kind(SEEKDB), home.sys.path
    keeper = kind.embedded(sys, sizes, may_be_new=True)
    session = CatalogSession(lambda: kind.connect(sys))
    try:
        asyncio.run(keeper.start())
        _as_soon_as_possible(Catalog(session).prepare)
        yield session
    finally:
        session.close()
        asyncio.run(keeper.stop())


def _as_soon_as_possible(work: Callable[[], _Done]) -> _Done:
    """Do work that may be repeated: an engine that has just started refuses transactions for some seconds (4383).

    Raises CatalogError if the engine still refuses after a minute.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return work()
        except CatalogError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)


def _print(out: Console, found: History, repair: Repair, *, is_dry_run: bool) -> None:
    for change in repair.changes:
        out.print(str(change), markup=False)
    if repair.backup_dest:
        out.print(f"set     backup_dest = {repair.backup_dest}", markup=False)
    for problem in found.left_out:
        out.print(f"left out: {problem}", markup=False, style="red")
    rounds, sets = len(found.rounds), len({each.key for each in found.sets})
    did = "would be changed" if is_dry_run else "changed"
    out.print(f"the destination has {rounds} rounds and {sets} data backups; {len(repair.changes)} rows {did}")
    if repair.held_up:
        out.print(repair.held_up, markup=False, style="red")
