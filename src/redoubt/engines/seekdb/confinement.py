"""What an engine's process may reach: its own four folders, its program, and what the system needs; nothing else.

The engine takes every client of its unix socket for a local user, so any user of a tenant with the FILE privilege can
make the engine read and write files. So the operating system confines the engine. Redoubt's own files in `redoubt/` are
out of the engine's reach. Every grant below was seen in use (`strace`); the engine looks for its processor's abilities
with `sh` and `grep`.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from redoubt.engines import landlock, namespaces
from redoubt.engines.landlock import Grants
from redoubt.engines.seekdb.files import BaseDir

SWITCH = "REDOUBT_ENGINE_CONFINEMENT"
"""The environment variable that switches the confinement off (`off`), or Landlock (`namespaces`)."""
_FOLDERS = ("etc", "log", "run", "store")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/nix/store", "/gnu/store")
_SYSTEM = (
    *("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/sys"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm/overcommit_memory"),
)
_DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TZ")


def what_confines() -> str:
    """What confines the engines that Redoubt starts: `Landlock`, else `namespaces`; empty if nothing does."""
    wished = os.environ.get(SWITCH)
    if wished == "off":
        return ""
    if wished != "namespaces" and landlock.landlock_abi():
        return "Landlock"
    return "namespaces" if namespaces.namespaces_work() else ""


def confined_command(base: BaseDir, package: Path, command: list[str], *, has_network: bool = False) -> list[str]:
    """The command that runs an engine confined, or as it is where nothing confines. Makes the engine's folders.

    `has_network`: it runs in a network of its own, where it may listen and connect.
    """
    own = [base.path / name for name in _FOLDERS]
    for folder in own:
        with suppress(FileExistsError):  # the engine says what is wrong with it
            folder.mkdir(parents=True, exist_ok=True)
    tools = [path for name in ("sh", "grep") if (path := shutil.which(name))]
    programs = (str(package), *_LIBRARIES, "/bin/sh", *tools, *map(os.path.realpath, tools))
    grants = Grants(tuple(map(str, own)), programs, readable=_SYSTEM, writable=_DEVICES, has_network=has_network)
    match what_confines():
        case "Landlock":
            return landlock.confined(grants, command)
        case "namespaces":
            return namespaces.confined(grants, command)
        case _:
            return command


def environment(package: Path) -> dict[str, str]:
    """The variables of an engine: a client can read them as a file, so none of the service's secrets are among them."""
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return kept | {"LD_LIBRARY_PATH": str(package)}
