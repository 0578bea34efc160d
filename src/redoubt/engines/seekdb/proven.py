"""The versions of the engine with which that was proven which depends on its internals.

Rolling back what was open where a log ends, and having an engine replay without writing log, use tables, records of the
log and a role that the engine documents nowhere, and may change with any version. So they are done only with an engine
that says that it is one of these. A version is added here when the tests of `orphans`, `undo_log`, `standby_role` and
`rolling` have passed with it, and `docs/FORMAT.md` has been compared with its log.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache

from redoubt.engines.seekdb.instance import engine_package
from redoubt.errors import RedoubtError
from redoubt.model.keeping import EngineStartError

PROVEN = {"1.4.0.0 (1-d0cbdf0e9931f46f68fd4ff4aec955c8c3b8efd2)": "1.4.0.post1"}
"""Version and source revision, as the engine's program gives them; and the version of the package `pylibseekdb`."""
_SAYS = re.compile(
    r"\(OceanBase seekdb (?P<version>[\w.]+)\)$.*^REVISION: (?P<revision>\S+)$", re.DOTALL | re.MULTILINE
)
_PATIENCE = 60.0


class UnprovenEngineError(RedoubtError):
    """The installed engine is of a version with which this was not proven; the text names it, and says what to do."""


@cache
def installed_version() -> str:
    """What the engine's program says of itself, as in `PROVEN`: it is what runs, whatever a package says of it.

    It takes a few tenths of a second, once. Raises UnprovenEngineError if the program does not say.
    """
    try:
        package = engine_package()
        said = subprocess.run(
            [str(package / "seekdb"), "--version"],
            env=os.environ | {"LD_LIBRARY_PATH": str(package)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except (EngineStartError, OSError, subprocess.TimeoutExpired) as error:
        raise UnprovenEngineError(f"the engine's program cannot be asked for its version: {error}") from error
    match = _SAYS.search(said.stdout + said.stderr)
    if match is None:
        raise UnprovenEngineError(
            f"the engine's program does not say its version, but: {(said.stdout + said.stderr)[:200]!r}; reinstall "
            "pylibseekdb"
        )
    return f"{match['version']} ({match['revision']})"


def refuse_unproven(what: str, version: str) -> None:
    """Raise UnprovenEngineError unless an engine of that version was proven to do it."""
    if version not in PROVEN:
        packages = " or ".join(f"pylibseekdb=={each}" for each in PROVEN.values())
        raise UnprovenEngineError(
            f"{what}: this was not proven with seekdb {version}, and nothing was done; run: pip install {packages}"
        )
