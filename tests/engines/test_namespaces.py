"""A program that namespaces confine: what it still reaches, with and without the right to mount."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from redoubt.engines.landlock import Grants
from redoubt.engines.namespaces import confined, namespaces_work

from .tries import INTERPRETER, TRIES

PRIVILEGES = {"root": [], "not root": ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]}
"""What takes the right to mount away, so that it needs a user namespace."""


def outcomes(privilege: str, *tries: str, grants: Grants, folder: str = "/") -> list[str]:
    """The values of expressions that a confined program computes, or the names of the errors."""
    program = [sys.executable, "-I", "-S", "-c", TRIES, json.dumps(tries)]
    command = [*PRIVILEGES[privilege], *confined(replace(grants, programs=INTERPRETER), program)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
    assert not run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_only_what_is_granted_exists(tmp_path: Path, privilege: str) -> None:
    """Inside as before; outside nothing, also along a link that lies inside; and nothing new beside."""
    for folder in ("inside", "outside"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("text")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")

    def tries(folder: str) -> list[str]:
        place = str(tmp_path / folder)
        return [
            f"open({place!r} + '/file').read()",
            f"open({place!r} + '/file', 'a').write('more')",
            f"open({place!r} + '/new', 'x').write('new')",
            f"os.rename({place!r} + '/file', {place!r} + '/other')",
            f"os.unlink({place!r} + '/other')",
        ]

    inside, outside, link = tries("inside"), tries("outside"), tries("inside/link")
    beside = [
        "os.getcwd()",
        "os.listdir('/proc/self/..')",
        f"sorted(os.listdir({str(tmp_path)!r}))",
        "os.mkdir('/new')",
    ]
    found = outcomes(
        privilege,
        *(*inside, *outside, *link, *beside),
        folder=str(tmp_path),
        grants=Grants(all_of=(str(tmp_path / "inside"),), readable=("/proc/self",)),
    )

    assert found[:5] == ["text", "4", "3", "None", "None"]
    assert found[5:15] == ["FileNotFoundError"] * 10
    assert found[15:] == [str(tmp_path), "['self']", "['inside']", "OSError"]
    assert (tmp_path / "outside" / "file").read_text() == "text"


@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_a_grant_gives_what_it_says(tmp_path: Path, privilege: str) -> None:
    """What is readable cannot be written, what is writable cannot be removed, and what is missing is left out."""
    readable, writable = tmp_path / "readable", tmp_path / "writable"
    for file in (readable, writable):
        file.write_text("text")
    tries = [
        f"open({str(readable)!r}).read()",
        f"open({str(readable)!r}, 'a')",
        f"open({str(writable)!r}, 'w').write('x')",
        f"os.unlink({str(writable)!r})",
        "open('/dev/null', 'w').write('x')",
    ]
    missing, writables = str(tmp_path / "missing"), (str(writable), "/dev/null")
    grants = Grants(all_of=(missing,), readable=(str(readable),), writable=writables)

    assert outcomes(privilege, *tries, grants=grants) == ["text", "OSError", "1", "OSError", "1"]


@pytest.mark.parametrize("privilege", PRIVILEGES)
def test_what_is_mounted_below_is_read_only_too(privilege: str) -> None:
    """As below /sys; and files that the program makes are as private as its parent's."""
    mounts = "[line.split()[4:6] for line in open('/proc/self/mountinfo')]"
    umask = os.umask(0o077)
    try:
        found, mask = outcomes(
            privilege, mounts, "oct(os.umask(0))", grants=Grants(readable=("/sys", "/proc/self")), folder="/"
        )
    finally:
        os.umask(umask)
    options = {point: flags.split(",") for point, flags in ast.literal_eval(found)}

    assert "/sys" in options
    assert all("ro" in flags for point, flags in options.items() if point.startswith("/sys"))
    assert mask == "0o77"


FORBIDDEN = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'for kind in user mnt; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done; exec "$@"',
    "sh",
)
"""Runs a command in a system that lets nobody make namespaces."""


def test_a_system_that_forbids_namespaces_is_told(tmp_path: Path) -> None:
    """The trial fails, and a program that cannot be confined does not run."""
    assert namespaces_work()
    source = "from redoubt.engines.namespaces import namespaces_work; print(namespaces_work())"
    tried = subprocess.run([*FORBIDDEN, sys.executable, "-c", source], capture_output=True, text=True, check=True)
    command = confined(Grants(), ["/bin/touch", str(tmp_path / "ran")])
    run = subprocess.run([*FORBIDDEN, *command], capture_output=True, text=True, check=False)

    assert tried.stdout == "False\n"
    assert (run.returncode, run.stderr) == (
        1,
        "cannot confine the engine: [Errno 28] unshare: No space left on device\n",
    )
    assert not (tmp_path / "ran").exists()
