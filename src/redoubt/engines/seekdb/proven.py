"""The proven versions of the engine: the work that depends on the engine's internals was tested with them.

Two kinds of work use undocumented tables, log records and a role, which any version may change: rolling back the
transactions that are open at the end of a log, and replaying log without writing log. Redoubt does this work only with
a proven version. Add a version after the tests of `orphans`, `undo_log`, `standby_role` and `rolling` have passed with
it, and after `docs/FORMAT.md` has been compared with its log.
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
"""From version and source revision, as the engine's program prints them, to the version of `pylibseekdb`."""
_SAYS = re.compile(
    r"\(OceanBase seekdb (?P<version>[\w.]+)\)$.*^REVISION: (?P<revision>\S+)$", re.DOTALL | re.MULTILINE
)
_PATIENCE = 60.0


class UnprovenEngineError(RedoubtError):
    """The version of the installed engine is not proven; the text names the version and says what to do."""


@cache
def installed_version() -> str:
    """The version of the engine's program, as in `PROVEN`. The program is asked, because it runs, not the package.

    The first call takes a few tenths of a second. Raises UnprovenEngineError if the program prints no version.
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
        raise UnprovenEngineError(f"cannot ask the engine's program for its version: {error}") from error
    match = _SAYS.search(said.stdout + said.stderr)
    if match is None:
        raise UnprovenEngineError(
            f"the engine's program printed no version, but: {(said.stdout + said.stderr)[:200]!r}; reinstall "
            "pylibseekdb"
        )
    return f"{match['version']} ({match['revision']})"


def refuse_unproven(what: str, version: str) -> None:
    """Raise UnprovenEngineError unless `version` is proven for `what`, a clause that the message begins with."""
    if version not in PROVEN:
        packages = " or ".join(f"pylibseekdb=={each}" for each in PROVEN.values())
        raise UnprovenEngineError(
            f"{what} was not proven with seekdb {version}, and nothing was done; run: pip install {packages}"
        )
