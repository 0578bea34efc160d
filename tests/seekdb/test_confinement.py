"""What SQL can make a confined engine do: its users are local to it, so the operating system keeps them in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pymysql
import pytest

from redoubt.engines import landlock, namespaces
from redoubt.engines.seekdb.confinement import SWITCH, confined_command, environment, what_confines
from redoubt.engines.seekdb.files import BaseDir

from .running import Seekdb, running_seekdb

REFUSED = {4009, 1017}
"""The engine's "IO error" and, where nothing but the engine's own files exists, "File not exist"."""


@pytest.fixture(scope="module", params=["Landlock", "namespaces"])
def confined(request: pytest.FixtureRequest) -> Iterator[Seekdb]:
    """An engine that the kernel confines in this way.

    Own engine: for namespaces, which this kernel with Landlock would not choose.
    """
    if request.param == "Landlock":
        yield request.getfixturevalue("seekdb")
        return
    with ExitStack() as ends:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(SWITCH, request.param)
            seekdb = ends.enter_context(running_seekdb())
        yield seekdb


def refusal(seekdb: Seekdb, statement: str) -> int:
    """The number of the error with which the engine refuses a statement of a user with all privileges."""
    with pytest.raises(pymysql.err.Error) as caught:
        seekdb.run(statement)
    return int(caught.value.args[0])


def test_a_user_cannot_write_files_outside_of_the_engines_folders(confined: Seekdb, tmp_path: Path) -> None:
    """Neither elsewhere, nor among Redoubt's own files, nor beside them."""
    for folder in (tmp_path, confined.base.ours, confined.base.path, Path("/usr/lib")):
        assert refusal(confined, f"SELECT 1 INTO OUTFILE '{folder / 'written'}'") in REFUSED
        assert not (folder / "written").exists()


def test_a_user_cannot_read_files_outside_of_the_engines_folders(confined: Seekdb, tmp_path: Path) -> None:
    """Not the service's password, not the system's files; and the engine's environment has no secret in it."""
    (tmp_path / "file").write_text("1")
    confined.run("CREATE TABLE IF NOT EXISTS test.loaded (line TEXT)")
    others = (Path("/proc") / str(os.getpid()) / "environ", Path("/proc/1/cmdline"))
    for path in (tmp_path / "file", confined.base.account, Path("/etc/passwd"), *others):
        assert refusal(confined, f"LOAD DATA INFILE '{path}' INTO TABLE test.loaded") in REFUSED

    pid = int(confined.base.pid.read_text())
    names = {line.partition(b"=")[0] for line in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if line}
    assert names <= {b"LD_LIBRARY_PATH", b"PATH", b"LANG", b"LC_ALL", b"TZ"}


def test_a_user_may_use_files_in_the_engines_folders(confined: Seekdb) -> None:
    """Such as its `log`: the tenant hurts only itself there."""
    path = confined.base.path / "log" / "written"
    try:
        confined.run(f"SELECT 1 INTO OUTFILE '{path}'")
        assert path.read_text().strip() == "1"
    finally:
        path.unlink(missing_ok=True)


def test_what_confines_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Landlock if the kernel has it, else namespaces if the system lets us, else nothing; nor with the switch."""
    assert what_confines() == "Landlock"
    monkeypatch.setattr(landlock, "landlock_abi", lambda: 0)
    assert what_confines() == "namespaces"
    monkeypatch.setattr(namespaces, "namespaces_work", lambda: False)
    assert what_confines() == ""
    monkeypatch.undo()
    command, base = ["engine", "--option"], BaseDir(tmp_path / "base")
    assert confined_command(base, tmp_path, command)[-2:] == command
    assert confined_command(base, tmp_path, command) != command

    monkeypatch.setenv(SWITCH, "off")
    assert what_confines() == ""
    assert confined_command(base, tmp_path, command) == command


def test_the_engine_gets_no_variable_that_it_does_not_need(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user with the FILE privilege can read them in /proc."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("TZ", "UTC")

    assert "AWS_SECRET_ACCESS_KEY" not in environment(tmp_path)
    assert environment(tmp_path)["TZ"] == "UTC"
    assert environment(tmp_path)["LD_LIBRARY_PATH"] == str(tmp_path)
