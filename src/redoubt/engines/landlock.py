"""Confines a program by Landlock: the kernel then refuses the program every file and TCP port that no rule grants.

The interpreter restricts itself and then becomes the program: `python -I -S landlock.py GRANTS PROGRAM ARGUMENT…`. A
process cannot drop the restriction, and its children inherit the restriction. No privilege is needed. This file imports
only the standard library, so that the start costs little: about 30 ms.

The three system calls and their structures: https://docs.kernel.org/userspace-api/landlock.html
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from dataclasses import asdict, dataclass

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on all architectures."""
_VERSION_QUERY = 1
_PATH_BENEATH = 1
_NO_NEW_PRIVILEGES = 38
_RULESET = struct.Struct("=QQQ")
_RULESET_SIZES = {1: 8, 2: 8, 3: 8, 4: 16, 5: 16}
"""Bytes of the structure that the kernels of an ABI know; 24 from ABI 6 on."""
_PATH_RULE = struct.Struct("=Qi")

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FILE_RIGHTS_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
"""Rights of files and folders that an ABI knows; 16 from ABI 5 on."""
_RIGHTS_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | 1 << 14 | 1 << 15
"""Rights that a rule for a file, not a folder, may have: with execute, read and write also truncate and ioctl."""
_TCP_RIGHTS = 3
_TCP_ABI = 4
_SCOPES = 3
"""Abstract unix sockets and signals reach only processes under the same restriction."""
_SCOPE_ABI = 6
_NEWEST_ABI = 6


@dataclass(frozen=True)
class Grants:
    """What a confined program may reach, as absolute paths of files and folders; folders with all that they contain.

    `all_of`: read, write, create, remove, execute. `programs`: read, list and execute. `readable`: read and list.
    `writable`: read and write, but not create or remove. Paths that do not exist are left out. `has_network`: TCP, of
    a network of the program's own. `most_abi` limits the Landlock version that is used.
    """

    all_of: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    has_network: bool = False
    most_abi: int = _NEWEST_ABI


def landlock_abi() -> int:
    """The version of the kernel's Landlock interface, 0 without Landlock."""
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION_QUERY)))


def confined(grants: Grants, command: list[str]) -> list[str]:
    """The command that runs `command` with nothing but `grants`."""
    return [sys.executable, "-I", "-S", __file__, json.dumps(asdict(grants)), *command]


def restrict_self(grants: Grants) -> None:
    """Restrict this process and its future children for good. Raises OSError."""
    abi = min(landlock_abi(), grants.most_abi)
    rights = _FILE_RIGHTS_BY_ABI.get(abi, (1 << 16) - 1)
    tcp = _TCP_RIGHTS if abi >= _TCP_ABI and not grants.has_network else 0
    scopes = _SCOPES if abi >= _SCOPE_ABI else 0
    attributes = _RULESET.pack(rights, tcp, scopes)[: _RULESET_SIZES.get(abi, _RULESET.size)]
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    read = _READ_FILE | _READ_DIR
    for paths, granted in (
        (grants.all_of, rights),
        (grants.programs, read | _EXECUTE),
        (grants.readable, read),
        (grants.writable, read | _WRITE_FILE | 1 << 14),
    ):
        for path in paths:
            _grant(ruleset, path, granted & rights)
    if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    _call(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _grant(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib would double the time of the start
            rights &= _RIGHTS_OF_FILES
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, _PATH_RULE.pack(rights, place), 0)
    finally:
        os.close(place)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc().syscall(number, *arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock's system call {number}: {os.strerror(error)}")
    return result


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def main() -> None:
    """Restrict this process as the first argument says, and become the program that the others name."""
    given = json.loads(sys.argv[1])
    try:
        restrict_self(Grants(**given))
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the caller's own program
    except OSError as error:
        sys.exit(f"cannot confine the engine: {error}")


if __name__ == "__main__":
    main()
