"""Starting and stopping: what is printed, what is refused, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest

from tests.processes import is_alive
from tests.service.cluster import ServiceUnderTest, wait_until
from tests.service.kills import kill_part


def _start(*options: str) -> subprocess.CompletedProcess[str]:
    """Run `redoubt start` where it is expected to fail."""
    return subprocess.run(
        [sys.executable, "-m", "redoubt", "start", *options], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.new_engines
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_a_signal_stops_everything_cleanly(stopped_service: ServiceUnderTest, number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C: status 0, and no process is left.

    Own service: it is ended; new engines, as a user's.
    """
    service = stopped_service
    service.start()
    wait_until("the worker has started", lambda: len(service.children()) == 3)
    children = service.children()
    assert service.process is not None
    os.killpg(service.process.pid, number)  # a terminal sends Ctrl-C to the whole group

    assert service.reap() == 0
    assert not any(is_alive(pid) for pid in children)


def test_sigkill_of_the_service_ends_its_children(service: ServiceUnderTest) -> None:
    """The engines lose the lock, the worker its input; both end by themselves.

    Own service: it is killed.
    """
    children = service.children()
    service.kill()

    wait_until("the children have ended", lambda: not any(is_alive(pid) for pid in children), 20)


def test_a_second_start_on_the_same_home_is_refused(shared_service: ServiceUnderTest) -> None:
    """The error names the process and its address; the first service goes on."""
    refused = _start("--home", str(shared_service.home), "--port", "0")

    assert refused.returncode == 1
    assert not refused.stdout
    assert shared_service.process is not None
    assert f"(process {shared_service.process.pid}, on 127.0.0.1:{shared_service.port})" in refused.stderr
    assert shared_service.run("SELECT 1") == [{"1": 1}]


def test_a_port_in_use_is_refused_and_nothing_is_left(stopped_service: ServiceUnderTest) -> None:
    """The error names the port.

    Own service: it must not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = _start("--home", str(stopped_service.home), "--port", str(port))

    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refused.stderr
    assert "Traceback" not in refused.stderr
    wait_until("the engines have ended", lambda: not any(is_alive(pid) for pid in stopped_service.children()))


def test_an_open_door_needs_passwords(stopped_service: ServiceUnderTest, tmp_path: Path) -> None:
    """Other addresses than this machine's own are refused while root has no password, unless that is allowed.

    Own service: it must not start.
    """
    refused = _start("--home", str(stopped_service.home), "--port", "0", "--host", "0.0.0.0")

    assert refused.returncode == 1
    assert "starting the engine of sys" in refused.stderr
    assert "root@sys has no password" in refused.stderr


@pytest.mark.soak
def test_a_door_opens_once_every_root_has_a_password(stopped_service: ServiceUnderTest) -> None:
    """As the refusal advises: start on 127.0.0.1, ALTER USER in each tenant, start again. In a network of its own.

    Own service: it is started twice, the second time behind an open door.
    """
    stopped_service.start()
    for user in ("root@sys", "root@main"):
        stopped_service.run("ALTER USER root IDENTIFIED BY 'secret'", user)
    stopped_service.stop()
    start = [sys.executable, "-m", "redoubt", "start", "--home", str(stopped_service.home), "--port", "0"]
    # An engine wants an interface.
    network = "ip link add v0 type veth peer name v1 && ip address add 10.0.0.1/24 dev v0 && ip link set v0 up"
    confined = ["unshare", "--net", "sh", "-c", f'{network} && exec "$@" --host 0.0.0.0', "sh", *start]
    with subprocess.Popen(confined, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as opened:
        assert opened.stdout is not None
        line = opened.stdout.readline()
        opened.terminate()
        _, said = opened.communicate(timeout=60)

    assert line.startswith("ready on 0.0.0.0:"), said
    assert opened.returncode == 0


def test_a_home_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """A file in the way, and a path too long for a unix socket."""
    (tmp_path / "file").write_text("")
    in_the_way = _start("--home", str(tmp_path / "file"))
    too_long = _start("--home", str(tmp_path / ("x" * 100)), "--port", "0")

    assert "choose another with --home" in in_the_way.stderr
    assert "choose a shorter home directory" in too_long.stderr
    assert [in_the_way.returncode, too_long.returncode] == [1, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[gateway]\nport = 'x'", "gateway.port: Input should be a valid integer"),
        ("[gatway]\nport = 1", "gatway: Extra inputs are not permitted"),
        ("[cluster\n", "Expected ']'"),
        ("[cluster]\nname = '../up'", "cluster.name: String should match pattern"),
    ],
)
def test_a_bad_configuration_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    """The error names the file, the place and the cause."""
    file = tmp_path / "redoubt.toml"
    file.write_text(text)
    refused = _start("--home", str(tmp_path / "home"), "--config", str(file))

    assert refused.returncode == 1
    assert f"{file}: {complaint}" in refused.stderr


def test_a_missing_configuration_and_a_wrong_port_are_refused(tmp_path: Path) -> None:
    """What is given on the command line is checked like the file."""
    missing = _start("--home", str(tmp_path / "home"), "--config", str(tmp_path / "none.toml"))
    wrong = _start("--home", str(tmp_path / "home"), "--port", "70000")

    assert "No such file" in missing.stderr
    assert "--port 70000 is not between 0 and 65535" in wrong.stderr


def test_the_configuration_is_followed(stopped_service: ServiceUnderTest, tmp_path: Path) -> None:
    """The cluster's name and number are those of the archive's folders and of the login; segments seal as told.

    So does the switch in the environment, which leaves engines unconfined: the log says so.

    Own service: it is configured.
    """
    file = tmp_path / "redoubt.toml"
    file.write_text("[cluster]\nname = 'obcluster'\nid = 7\n[archive]\nsegment_age = 0.2\nsegment_size = 65536\n")
    service = stopped_service
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDOUBT_ENGINE_CONFINEMENT", "off")
        service.start("--config", str(file))
    service.archive()

    assert service.run("SELECT 1", "root@main#obcluster") == [{"1": 1}]
    assert (service.backup / "obcluster" / "7" / "incarnation_1" / "cluster_clog_backup_info").is_file()
    assert "engines are not confined" in (service.home / "log" / "redoubt.log").read_text()
    segments = sorted((service.backup / "obcluster/7/incarnation_1/1001/clog/1").glob("*.lz4"))
    assert len(segments) > 20


def test_an_engine_that_dies_is_started_again(service: ServiceUnderTest) -> None:
    """After SIGKILL its tenant answers again without anybody's doing.

    Own service: its engine is killed.
    """
    before = service.engine_pid(service.main_dir)
    kill_part(service, "engine")

    wait_until("another engine", lambda: service.engine_pid(service.main_dir) not in {0, before})
    wait_until("main answers", lambda: _answers(service))


def _answers(service: ServiceUnderTest) -> bool:
    with contextlib.suppress(pymysql.err.MySQLError):
        return service.run("SELECT 1", "root@main") == [{"1": 1}]
    return False
