"""Confines a program by namespaces, for kernels without Landlock: the program sees a file tree of nothing but grants.

The interpreter moves itself into namespaces of its own and then becomes the program: `python -I -S namespaces.py
GRANTS PROGRAM ARGUMENT…`. Root needs CAP_SYS_ADMIN for this; other users need a system that lets them make user
namespaces. The new tree is a file system in memory; what is granted is bound into it, read-only unless the grant says
more. The network stays the system's, as seekdb does not start without an interface. This file imports only the standard
library.

The system calls: mount_namespaces(7), user_namespaces(7), pivot_root(2).
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the launcher runs without the package
    from redoubt.engines.landlock import Grants

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_KEPT = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""Flags of `statvfs` that a remount must name again, or the kernel refuses it; with the flags of `mount`."""
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_NO_NEW_PRIVILEGES = 38
_NEW_ROOT = "/dev"
"""The new tree is put together here, as every system has this folder. Only this process sees the change."""


@functools.cache
def namespaces_work() -> bool:
    """Whether this process may confine a program like this; tried once, in a child that ends at once."""
    tried = [sys.executable, "-I", "-S", __file__, "{}"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


def confined(grants: Grants, command: list[str]) -> list[str]:
    """The command that runs `command` with nothing but `grants`."""
    return [sys.executable, "-I", "-S", __file__, json.dumps(asdict(grants)), *command]


def _enter(grants: dict[str, list[str]]) -> None:
    """Move this process into namespaces of its own, where only `grants` exist. Raises OSError."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib would double the time of the start
    _leave()
    _mount("none", "/", _RECURSIVE | _PRIVATE)
    paths = [(path, kind) for kind in ("all_of", "programs", "readable", "writable") for path in grants.get(kind, ())]
    places = [(path, kind, place) for path, kind in paths if (place := _opened(path)) is not None]
    umask = os.umask(0o022)
    _mount("none", _NEW_ROOT, 0, "tmpfs")
    os.makedirs(_NEW_ROOT + folder, exist_ok=True)  # noqa: PTH103
    for path, kind, place in places:
        _bind(place, _NEW_ROOT + path, read_only=kind in {"programs", "readable"})
        os.close(place)
    _mount("none", _NEW_ROOT, _REMOUNT | _BIND | _READ_ONLY)
    os.chdir(_NEW_ROOT)
    _check(_libc().syscall(_PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    _check(_libc().umount2(b".", _DETACH), "umount")
    os.chdir(folder)
    os.umask(umask)
    _check(_libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")


def _leave() -> None:
    """Leave the namespaces of the system: with the right to, else in a user namespace with the same user in it."""
    user, group = os.getuid(), os.getgid()
    if _libc().unshare(_NEW_MOUNTS) == 0:
        return
    _check(_libc().unshare(_NEW_USERS | _NEW_MOUNTS), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123
            file.write(text)


def _opened(path: str) -> int | None:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _bind(place: int, target: str, *, read_only: bool) -> None:
    """Show the open file or folder `place` at `target` too."""
    source = f"/proc/self/fd/{place}"
    if os.path.isdir(source):  # noqa: PTH112
        os.makedirs(target, exist_ok=True)  # noqa: PTH103
    elif not os.path.exists(target):  # noqa: PTH110
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.close(os.open(target, os.O_CREAT))
    try:
        _mount(source, target, _BIND)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount(source, target, _BIND | _RECURSIVE)  # a user namespace may not uncover what is mounted below
    for each in _mounts_at(target) if read_only else ():
        found = os.statvfs(each).f_flag
        kept = sum(flag for seen, flag in _KEPT.items() if found & seen)
        _mount("none", each, _REMOUNT | _BIND | _READ_ONLY | kept)


def _mounts_at(target: str) -> list[str]:
    """The mount points at a path and below it: a remount changes one of them only."""
    with open("/proc/self/mountinfo", "rb") as file:  # noqa: PTH123
        points = [line.split()[4].decode("unicode_escape").encode("latin-1") for line in file]
    wanted = os.fsencode(os.path.realpath(target))
    return sorted({os.fsdecode(each) for each in points if each == wanted or each.startswith(wanted + b"/")})


def _mount(source: str, target: str, flags: int, kind: str = "none") -> None:
    names = (os.fsencode(each) for each in (source, target, kind))
    _check(_libc().mount(*names, ctypes.c_ulong(flags), None), f"mount {target}")


def _check(result: int, what: str) -> None:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Confine this process as the first argument says, and become the program that the others name, if any."""
    try:
        _enter(json.loads(sys.argv[1]))
        if sys.argv[2:]:
            os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller's own program
    except (OSError, KeyError) as error:
        sys.exit(f"cannot confine the engine: {error}")


if __name__ == "__main__":
    main()
