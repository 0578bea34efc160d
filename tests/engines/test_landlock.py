"""A program that Landlock confines: what it still reaches, and what not, as the kernels of each version have it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redoubt.engines.landlock import Grants, confined, landlock_abi

from .tries import INTERPRETER, TRIES

NEWEST = landlock_abi()
assert NEWEST, "these tests need a kernel with Landlock, Linux 5.13 or newer"


def outcomes(*tries: str, abi: int = 6, **paths: Any) -> list[str]:
    """The values of expressions that a confined program computes, or the names of the errors."""
    command = [sys.executable, "-I", "-S", "-c", TRIES, json.dumps(tries)]
    grants = Grants(programs=INTERPRETER, most_abi=abi, **paths)
    run = subprocess.run(confined(grants, command), capture_output=True, text=True, timeout=60, check=False)
    assert not run.stderr
    return run.stdout.splitlines()


@pytest.mark.parametrize("abi", range(1, min(NEWEST, 6) + 1))
def test_what_no_rule_grants_is_refused(tmp_path: Path, abi: int) -> None:
    """Reading, listing, writing, creating, renaming and removing, outside; also along a link that lies inside."""
    for folder in ("inside", "outside"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("text")
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")

    def tries(folder: str) -> list[str]:
        place = str(tmp_path / folder)
        return [
            f"open({place!r} + '/file').read()",
            f"'file' in os.listdir({place!r})",
            f"open({place!r} + '/file', 'a').write('more')",
            f"open({place!r} + '/new', 'x').write('new')",
            f"os.mkdir({place!r} + '/folder')",
            f"os.rename({place!r} + '/file', {place!r} + '/other')",
            f"os.unlink({place!r} + '/other')",
        ]

    inside, outside, link = tries("inside"), tries("outside"), tries("inside/link")
    found = outcomes(*inside, *outside, *link, abi=abi, all_of=(str(tmp_path / "inside"),))

    assert found[:7] == ["text", "True", "4", "3", "None", "None", "None"]
    assert found[7:13] == found[14:20] == ["PermissionError"] * 6
    assert (tmp_path / "outside" / "file").read_text() == "text"
    assert len(list((tmp_path / "outside").iterdir())) == 1


def test_a_grant_gives_what_it_says(tmp_path: Path) -> None:
    """What is readable cannot be written, what is writable cannot be removed, and what is missing is left out."""
    readable, writable = tmp_path / "readable", tmp_path / "writable"
    for file in (readable, writable):
        file.write_text("text")
    tries = [
        f"open({str(readable)!r}).read()",
        f"open({str(readable)!r}, 'a')",
        f"open({str(writable)!r}, 'w').write('x')",
        f"os.unlink({str(writable)!r})",
    ]
    missing = (str(tmp_path / "missing"),)

    assert outcomes(*tries, readable=(str(readable),), writable=(str(writable),), all_of=missing) == [
        "text",
        "PermissionError",
        "1",
        "PermissionError",
    ]


@pytest.mark.parametrize("abi", [each for each in (3, 4, 5, 6) if each <= NEWEST])
def test_tcp_and_signals_are_refused_where_the_kernel_can(abi: int) -> None:
    """Neither a connection nor a listener from ABI 4 on; no signal to the service that started it from ABI 6 on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = outcomes(
            f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]})).family.name",
            "socket.create_server(('127.0.0.1', 0)).family.name",
            f"os.kill({os.getpid()}, 0)",
            abi=abi,
        )
    tcp = "PermissionError" if abi >= 4 else "AF_INET"

    assert found == [tcp, tcp, "PermissionError" if abi >= 6 else "None"]


def test_the_program_keeps_its_process_and_its_parent_may_end_it() -> None:
    """The id that `Popen` knows is the program's own."""
    command = [sys.executable, "-I", "-S", "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"]
    with subprocess.Popen(confined(Grants(programs=INTERPRETER), command), stdout=subprocess.PIPE) as process:
        assert process.stdout
        printed = int(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        process.wait()

    assert printed == process.pid
    assert process.returncode == -signal.SIGTERM


def test_a_program_that_cannot_be_confined_does_not_run(tmp_path: Path) -> None:
    """The command ends with the cause."""
    mark = tmp_path / "ran"
    command = confined(Grants(readable=(f"/{'long' * 100}",)), ["/bin/touch", str(mark)])
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 1
    assert "cannot confine the engine: " in run.stderr
    assert not mark.exists()
