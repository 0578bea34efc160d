"""The engine's process: started, stopped, killed, left behind, shared, and unable to start.

All but the tests of a real engine's life use a program that only lives as an engine does: as long as it is let.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from redoubt.engines.seekdb import instance as instance_module
from redoubt.engines.seekdb.account import ensure_account
from redoubt.engines.seekdb.confinement import SWITCH
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import MAX_SOCKET_PATH, BaseDir
from redoubt.engines.seekdb.instance import Instance, engine_package
from redoubt.model.keeping import EngineSizes, EngineStartError

from .running import answers, short_directory, until

PATIENT = """\
#!{python}
import fcntl, os, pathlib, sys, time
pathlib.Path("arguments").write_text("\\n".join([os.environ["LD_LIBRARY_PATH"], *sys.argv[1:]]))
pathlib.Path("run/seekdb.pid").write_text(str(os.getpid()))
with open("run/seekdb.clients", "rb") as clients:
    {wait}
"""
WAIT_FOR_CLIENTS = "fcntl.flock(clients, fcntl.LOCK_EX)"
WAIT_FOR_EVER = "time.sleep(600)"


@pytest.fixture
def base() -> Iterator[BaseDir]:
    """A base directory that does not exist yet."""
    with short_directory() as path:
        yield BaseDir(path / "base")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stand-in for the engine's package, which reaches more than an engine may: it runs unconfined."""
    monkeypatch.setenv(SWITCH, "off")
    monkeypatch.setattr(instance_module, "engine_package", lambda: tmp_path)
    return tmp_path


def install(package: Path, program: str) -> None:
    """Make a program the engine."""
    (package / "seekdb").write_text(program)
    (package / "seekdb").chmod(0o755)


def install_patient(package: Path, wait: str = WAIT_FOR_CLIENTS) -> None:
    """Make a program the engine that writes its pid and then waits."""
    install(package, PATIENT.format(python=sys.executable, wait=wait))


@contextmanager
def started(base: BaseDir) -> Iterator[Instance]:
    """A stand-in that has written its pid; killed afterwards."""
    instance = Instance(base, EngineSizes("2G", "4G"))
    try:
        instance.start()
        until(lambda: base.pid.exists() and base.pid.read_text() == str(instance.pid))
        yield instance
    finally:
        instance.kill()


def test_an_engine_lives_until_it_is_let_go(base: BaseDir, package: Path) -> None:
    """It runs in its directory, on a socket only, with its own libraries."""
    install_patient(package)
    with started(base) as instance:
        running = instance.is_running()
        pid = instance.pid
        instance.check_alive()
        instance.stop()
    options = ["--base-dir", str(base.path), "--embedded", "--nodaemon"]
    sizes = ["--parameter", "memory_budget=2G", "--parameter", "log_disk_size=4G"]

    assert running
    assert pid
    assert not instance.is_running()
    assert instance.pid is None
    assert [str(package), *options, *sizes] == (base.path / "arguments").read_text().splitlines()


def test_an_engine_that_does_not_end_is_killed(base: BaseDir, package: Path) -> None:
    """After the time that it has for it."""
    install_patient(package, WAIT_FOR_EVER)
    with started(base) as instance:
        instance.stop(timeout=0.1)

        assert not instance.is_running()


def test_an_engine_can_be_killed_and_started_again(base: BaseDir, package: Path) -> None:
    """With the same object."""
    install_patient(package)
    with started(base) as instance:
        first = instance.pid
        instance.kill()
        killed = instance.is_running()
        instance.start()

        assert not killed
        assert instance.is_running()
        assert first != instance.pid


def test_what_was_never_started_can_be_stopped(base: BaseDir) -> None:
    """And killed, and asked."""
    instance = Instance(base, EngineSizes())
    instance.stop()
    instance.kill()
    instance.check_alive()

    assert not instance.is_running()
    assert instance.pid is None


def test_an_engine_that_dies_at_its_start_says_why(base: BaseDir, package: Path) -> None:
    """With its status and the end of what it printed."""
    install(package, "#!/bin/sh\nhead -c 5000 /dev/zero | tr '\\0' x\necho ' the disk is full' >&2\nexit 3\n")
    instance = Instance(base, EngineSizes())
    instance.start()
    until(lambda: not instance.is_running())
    with pytest.raises(EngineStartError, match=r"ended with status 3: x+ the disk is full") as failed:
        instance.check_alive()
    instance.stop()

    assert len(str(failed.value)) < 2500


def test_an_engine_that_dies_silently_is_told_as_well(base: BaseDir, package: Path) -> None:
    """With the place where to look."""
    install(package, "#!/bin/sh\nkill -9 $$\n")
    instance = Instance(base, EngineSizes())
    instance.start()
    until(lambda: not instance.is_running())
    with pytest.raises(EngineStartError, match=rf"status -9: no cause given \(its log is in {base.path / 'log'}\)"):
        instance.check_alive()
    instance.stop()


def test_a_program_that_cannot_be_run_is_told(base: BaseDir, package: Path) -> None:
    """And the lock is not kept."""
    (package / "seekdb").write_text("no program")
    instance = Instance(base, EngineSizes())
    with pytest.raises(EngineStartError, match=r"Permission denied.*reinstall pylibseekdb"):
        instance.start()
    with base.clients.open("rb") as clients:
        fcntl.flock(clients, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    """Before anything is made; bytes count, not characters."""
    room = MAX_SOCKET_PATH - len(os.fsencode(BaseDir(tmp_path / "").socket)) - 1
    base = BaseDir(tmp_path / ("漢" * (room // 3 + 1)))
    with pytest.raises(EngineStartError, match=r"longer than 107 bytes; choose a shorter home directory"):
        Instance(base, EngineSizes()).start()

    assert not base.path.exists()


@pytest.mark.parametrize("spec", [None, ModuleSpec("pylibseekdb", None)])
def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, base: BaseDir, spec: ModuleSpec | None) -> None:
    """With the way to install it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: spec)
    with pytest.raises(EngineStartError, match="pip install pylibseekdb"):
        Instance(base, EngineSizes()).start()


def test_the_package_holds_the_engine() -> None:
    """And is found without being imported."""
    assert (engine_package() / "seekdb").is_file()
    assert "pylibseekdb" not in sys.modules


def test_a_start_waits_for_a_lock_that_is_held_alone(base: BaseDir, package: Path) -> None:
    """As an engine does that is ending; not for ever."""
    install_patient(package)
    base.clients.parent.mkdir(parents=True)
    with base.clients.open("wb") as clients:
        fcntl.flock(clients, fcntl.LOCK_EX)
        with pytest.raises(EngineStartError, match=f"another process keeps the engine in {base.path} running"):
            Instance(base, EngineSizes()).start(timeout=0.1)
    with started(base) as instance:
        assert instance.is_running()


def test_an_engine_that_another_process_keeps_is_not_started_twice(base: BaseDir, package: Path) -> None:
    """Two engines in one directory would destroy it."""
    install_patient(package)
    with started(base) as instance:
        with pytest.raises(EngineStartError, match="another process keeps the engine"):
            Instance(base, EngineSizes()).start(timeout=0.1)

        assert instance.is_running()


@pytest.mark.parametrize(
    "content", ["", "nonsense", "999999999", str(os.getpid())], ids=["empty", "nonsense", "gone", "alive"]
)
def test_an_old_pid_file_is_in_nobodys_way(base: BaseDir, package: Path, content: str) -> None:
    """Of a process that is gone, or whose number another one has."""
    install_patient(package)
    base.pid.parent.mkdir(parents=True)
    base.pid.write_text(content)
    with started(base) as instance:
        assert instance.is_running()


HOLDER = """
    import sys, time
    from pathlib import Path
    from redoubt.engines.seekdb import instance
    from redoubt.engines.seekdb.files import BaseDir
    instance.engine_package = lambda: Path(sys.argv[2])
    engine = instance.Instance(BaseDir(Path(sys.argv[1])), instance.EngineSizes())
    engine.start()
    print(engine.pid, flush=True)
    sys.stdin.read()
"""


def test_an_engine_ends_when_its_holder_is_killed(base: BaseDir, package: Path) -> None:
    """And the next holder waits for that, and starts its own."""
    install_patient(package)
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(base.path), str(package)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        left_behind = int(holder.stdout.readline())
        until(lambda: base.pid.exists() and base.pid.read_text() == str(left_behind))
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with started(base) as instance:
            assert left_behind != instance.pid
            assert not (Path("/proc") / str(left_behind) / "exe").exists()


def test_a_real_engine_survives_a_kill_and_goes_on_with_its_log(base: BaseDir) -> None:
    """Nothing that was committed is lost; a clean stop takes it to its end without force."""
    instance, engine = Instance(base, EngineSizes()), SeekdbEngine(base)
    try:
        instance.start()
        until(lambda: answers(instance, engine))
        before = engine.end_of_log()
        instance.kill()
        with pytest.raises(ConnectionError):
            ensure_account(base)
        instance.start()
        until(lambda: answers(instance, engine))
        after = engine.end_of_log()
        instance.stop()
        process = instance._process
    finally:
        instance.kill()

    assert before <= after
    assert process
    assert process.returncode == 0
