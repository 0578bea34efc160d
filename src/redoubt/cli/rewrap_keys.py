"""`redoubt rewrap-keys`: the present master key takes the place of former ones in a destination."""

from __future__ import annotations

from redoubt.archive.master_keys import MASTER_KEY, master_key
from redoubt.archive.rewrapping import rewrap
from redoubt.cli.printing import complain, console
from redoubt.destinations.uri import open_destination
from redoubt.errors import RedoubtError


def rewrap_keys(uri: str) -> int:
    """Wrap all data keys with the master key. The exit status: 0, or 1 if that failed anywhere."""
    again = before = failed = 0
    try:
        master = master_key()
        if master is None:
            complain(f"no master key is set: name its source in {MASTER_KEY}")
            return 1
        for done in rewrap(open_destination(uri), master):
            again, before = again + done.again, before + done.before
            if done.problem:
                failed += 1
                complain(done.problem if done.folder in done.problem else f"{done.folder}: {done.problem}")
    except RedoubtError as error:
        complain(error)
        return 1
    if again or before:
        text = f"{again} data keys are wrapped with the master key {master.id} now; {before} were before"
        console().print(text, markup=False)
    elif not failed:
        console().print("no data key there is wrapped with a master key: nothing to do")
    if failed:
        complain(f"{failed} folders still need a former key: keep it, mend the cause, and run the command again")
    return 1 if failed else 0
