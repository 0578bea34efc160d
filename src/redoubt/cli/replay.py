"""`redoubt replay`, and the last step of `redoubt restore`: the first start of an engine in a restored directory."""

from __future__ import annotations

import time
from pathlib import Path

from redoubt.cli.printing import complain, console
from redoubt.engines.registry import engine_kind
from redoubt.model.engine_kind import EngineKind, FirstStart, UnknownEngineKindError
from redoubt.model.own_files import OwnFiles
from redoubt.model.scratch_engine import Login
from redoubt.restore.restoring import RestoreError, kind_restored_in


def replay(directory: Path, user: str, password: str) -> int:
    """Start an engine in a directory to replay and flush its log; returns the exit status."""
    began = time.monotonic()
    if OwnFiles(directory).restoring.exists():
        complain(f"{directory} holds an unfinished restore; run redoubt restore again to continue it")
        return 1
    try:
        kind = engine_kind(kind_restored_in(directory))
    except (RestoreError, UnknownEngineKindError) as error:
        complain(error)
        return 1
    started = start_once(kind, directory, Login(user, password), flush=True)
    if started.trouble:
        complain(started.trouble)
        return 1
    console(error=True).print(
        f"replayed and flushed in {time.monotonic() - began:.1f} s; open transactions rolled back: "
        f"{started.rolled_back}",
        markup=False,
    )
    return 0


def start_once(kind: EngineKind, directory: Path, login: Login, *, flush: bool) -> FirstStart:
    """See `RestoredDirectory.first_start`; shows the current step on standard error."""
    with console(error=True).status("starting an engine") as status:
        started = kind.restored(directory).first_start(login, status.update, flush=flush)
    if started.remark:
        complain(started.remark)
    return started
