"""A standby at work on a real archive: it answers reads, survives kills, takes over, and is refused when it is none."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pymysql
import pytest

from redoubt.cli.activate import listening
from redoubt.engines.private_network import in_private_network, received_socket
from redoubt.engines.seekdb.account import connect_as
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.instance import engine_package
from redoubt.rehearsal.live_standby import LiveStandby
from tests.dose import dose
from tests.processes import is_alive
from tests.restore.archived import opened
from tests.seekdb.running import short_directory
from tests.service.bank import ACCOUNTS, BALANCE, BankLoad
from tests.service.cluster import ServiceUnderTest, wait_until

from .conftest import take_set, wait_until_archived

_READ_ONLY = 4688
_OPEN_ROWS = 4
"""Rows of a megabyte: a transaction of them has redo in the log before it is committed."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ServiceUnderTest]:
    """A service that archives synchronously, with a data backup of a bank.

    Own service: it is killed.
    """
    running = ServiceUnderTest(tmp_path / "f")
    running.start()
    try:
        running.run("ALTER SYSTEM SET backup_log_archive_option = 'mandatory', log_archive_sync_commit = True")
        running.archive()
        query = "SELECT SYNC_COMMIT FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001"
        wait_until("commits are synchronous", lambda: running.run(query)[0]["SYNC_COMMIT"] == "SYNC")
        BankLoad(running).open_accounts()
        running.run("CREATE TABLE test.big (a INT PRIMARY KEY, b LONGTEXT)", "root@main")
        take_set(running, 1)
        yield running
    finally:
        running.close()


def _redoubt(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "redoubt", *map(str, words)]


def _follow(service: ServiceUnderTest, to: Path) -> subprocess.Popen[str]:
    """Start `redoubt follow --live`, and wait until the engine follows."""
    options = ("--live", "--tenant", "main", "--interval", "0.1", "--memory", "1G")
    command = _redoubt("follow", f"file://{service.backup}", "--to", to, *options)
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert follower.stdout is not None
    for line in follower.stdout:
        if line.startswith("the engine follows"):
            return follower
    _, complained = follower.communicate(timeout=60)
    raise AssertionError(complained)


def _run(to: Path, sql: str) -> Any:
    with closing(connect_as(BaseDir(to), "root", "", 30)) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def _sum(to: Path) -> int:
    return int(_run(to, "SELECT SUM(balance) FROM test.account")[0][0])


@contextmanager
def _open_transaction(service: ServiceUnderTest) -> Iterator[None]:
    """A transaction with redo in the log, which is neither committed nor rolled back."""
    with suppress(pymysql.err.Error), service.connect("root@main") as connection, connection.cursor() as cursor:
        leave_open(cursor)
        yield


def leave_open(cursor: Any) -> None:
    """Begin a transaction that has redo in the log, and leave it open."""
    cursor.execute("BEGIN")
    cursor.execute("UPDATE test.account SET balance = balance + 1000 WHERE id = 0")
    for number in range(_OPEN_ROWS):
        cursor.execute("INSERT INTO test.big VALUES (%s, %s)", (number, "x" * 1_000_000))


def _ports() -> set[str]:
    """The addresses at which anything listens on this machine, as the kernel writes them."""
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {fields[1] for fields in lines if fields[3] == "0A"}


def _ended_in_order(to: Path, follower: subprocess.Popen[str]) -> None:
    """End the command whose engine has taken over, while a transaction is open; the directory can be opened then."""
    again = subprocess.run(_redoubt("activate", to), capture_output=True, text=True, check=False, timeout=60)
    with closing(connect_as(BaseDir(to), "root", "", 30)) as connection, connection.cursor() as cursor:
        leave_open(cursor)
        follower.terminate()
        said, complained = follower.communicate(timeout=60)
    assert (follower.returncode, complained) == (0, "")
    assert "the engine has taken over" in said
    advice = f"stopped; run redoubt replay {to}, which rolls back what was open; then the directory can be opened\n"
    assert said.endswith(advice)
    replayed = subprocess.run(_redoubt("replay", to), capture_output=True, text=True, check=False, timeout=200)
    assert (replayed.returncode, "rolled back: 1" in replayed.stderr) == (0, True), replayed.stderr
    assert (again.returncode, "has taken over already" in again.stderr) == (1, True)
    (entries_found,) = opened(to, "SELECT COUNT(*) FROM ledger WHERE entry = 'written by the standby'")
    assert entries_found == [["1"]]


def test_it_reads_survives_kills_and_takes_over_with_every_acknowledged_commit(service: ServiceUnderTest) -> None:
    """Under load; the follower is killed, then the primary with its service, while a transaction is open.

    Starts engines: two of the standby, one at the end.
    """
    load = BankLoad(service, connections=2)
    with short_directory() as folder:
        to = folder / "standby"
        before = {each for each in _ports() if not each.startswith("0100007F")}
        with load.running():
            follower = _follow(service, to)
            assert {each for each in _ports() if not each.startswith("0100007F")} == before
            for _ in range(dose(5, 50)):
                entries = len(load.acknowledged)
                assert _sum(to) == ACCOUNTS * BALANCE
                wait_until("some more", lambda entries=entries: len(load.acknowledged) > entries + 3)  # type: ignore[misc]
            with pytest.raises(pymysql.err.MySQLError) as refused:
                _run(to, "INSERT INTO test.ledger VALUES ('no')")
            assert refused.value.args[0] == _READ_ONLY
            engine = int(BaseDir(to).pid.read_text())
            follower.kill()
            follower.communicate(timeout=60)
            wait_until("its engine has ended with it", lambda: not is_alive(engine))
            follower = _follow(service, to)
            wait_until("it has caught up", lambda: _sum(to) == ACCOUNTS * BALANCE)
            second = ("follow", f"file://{service.backup}", "--to", to, "--live")
            for command, error in (
                (second, "another redoubt follow --live keeps"),
                (("replay", to), "end that engine"),
            ):
                run = subprocess.run(_redoubt(*command), capture_output=True, text=True, check=False, timeout=60)
                assert (run.returncode, error in run.stderr) == (1, True), run.stderr
        with _open_transaction(service):
            service.run("INSERT INTO test.ledger VALUES ('the last')", "root@main")
            for pid in [*service.children(), service.process.pid if service.process else 0]:
                os.kill(pid, signal.SIGKILL)
        service.reap()
        nobody = ("activate", to, "--user", "nobody")
        denied = subprocess.run(_redoubt(*nobody), capture_output=True, text=True, check=False, timeout=200)
        assert (denied.returncode, "give --user and REDOUBT_PASSWORD" in denied.stderr) == (1, True), denied.stderr
        taking = subprocess.run(_redoubt("activate", to), capture_output=True, text=True, check=False, timeout=200)
        assert taking.returncode == 0, taking.stderr
        assert "the engine writes" in taking.stdout
        found = {entry for (entry,) in _run(to, "SELECT entry FROM test.ledger")}
        assert {*load.acknowledged, "the last"} <= found
        assert (_sum(to), _run(to, "SELECT COUNT(*) FROM test.big")) == (ACCOUNTS * BALANCE, ((0,),))
        _run(to, "UPDATE test.account SET balance = balance WHERE id = 0")  # nothing holds the row
        _run(to, "INSERT INTO test.ledger VALUES ('written by the standby')")

        _ended_in_order(to, follower)
        for command in (("activate", to), ("follow", f"file://{service.backup}", "--to", to, "--live")):
            refused_now = subprocess.run(_redoubt(*command), capture_output=True, text=True, check=False, timeout=60)
            assert (refused_now.returncode, "so it is no standby any more" in refused_now.stderr) == (1, True)


def test_it_takes_over_when_nobody_keeps_it_and_a_server_elsewhere_can_follow(service: ServiceUnderTest) -> None:
    """First an engine in server mode, as a user runs it, follows `redoubt serve`; then `redoubt activate` alone.

    Starts engines: one of the standby, one as a user's, two at the end.
    """
    with short_directory() as folder:
        to = folder / "standby"
        follower = _follow(service, to)
        follower.send_signal(signal.SIGINT)
        said, _ = follower.communicate(timeout=60)
        assert said.endswith(f"to take over, run: redoubt activate {to}\n")
        service.run("INSERT INTO test.ledger VALUES ('for the server')", "root@main")
        wait_until_archived(service)
        with _server_elsewhere(service, to):
            wait_until("the server has it", lambda: _has(to, "for the server"))
        service.run("INSERT INTO test.ledger VALUES ('nobody has it')", "root@main")
        taking = subprocess.run(_redoubt("activate", to), capture_output=True, text=True, check=False, timeout=200)
        assert (taking.returncode, "can be opened" in taking.stdout) == (0, True), taking.stderr
        (entries,) = opened(to, "SELECT entry FROM ledger")
        assert entries == [["for the server"]]


def _has(to: Path, entry: str) -> bool:
    with suppress(pymysql.err.Error):
        return bool(_run(to, f"SELECT 1 FROM test.ledger WHERE entry = '{entry}'"))
    return False


@contextmanager
def _server_elsewhere(service: ServiceUnderTest, to: Path) -> Iterator[None]:
    """An engine in server mode and `redoubt serve`, both in a network that is not this machine's."""
    engine = (
        f"{engine_package()}/seekdb --base-dir {to} --port 2881 --nodaemon "
        "--parameter memory_budget=1G --parameter log_disk_size=2G --parameter log_restore_source=127.0.0.1:2884"
    )
    serve = " ".join(_redoubt("serve", f"file://{service.backup}", "--tenant", "main", "--listen", "127.0.0.1:2884"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = in_private_network(theirs.fileno(), 2883, ["/bin/sh", "-c", f"{serve} & cd {to}; exec {engine}"])
        environment = os.environ | {"LD_LIBRARY_PATH": str(engine_package())}
        both = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, pass_fds=[theirs.fileno()],
            start_new_session=True,
        )  # fmt: skip
        theirs.close()
        received_socket(ours).close()
        assert both.stdout is not None
        assert both.stdout.readline().startswith("serving the log of tenant main")
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(both.pid, signal.SIGKILL)
            both.communicate(timeout=60)
            wait_until("the engine has ended", lambda: not _is_running(to))


def _is_running(to: Path) -> bool:
    with suppress(OSError, ValueError):
        return is_alive(int(BaseDir(to).pid.read_text()))
    return False


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"nonsense\n", "is not one of redoubt activate"),
        (b"[]\n", "is not one of redoubt activate"),
        (json.dumps({"logins": [], "without_archive": False}).encode() + b"\n", "does not follow yet"),
    ],
)
def test_who_asks_for_an_activation_wrongly_is_told(request_: bytes, error: str, tmp_path: Path) -> None:
    """Nothing is changed, and the next one is answered."""

    async def ask() -> list[dict[str, str]]:
        (tmp_path / "redoubt").mkdir()
        standby = LiveStandby(None, None, lambda _feed: None, print)  # type: ignore[arg-type, return-value]
        answers = []
        async with listening(tmp_path, standby):
            for _ in range(2):
                reader, writer = await asyncio.open_unix_connection(tmp_path / "redoubt" / "follower.sock")
                writer.write(request_)
                answers.append(json.loads(await reader.readline()))
                writer.close()
                await writer.wait_closed()
        return answers

    for answer in asyncio.run(ask()):
        assert error in answer["error"]
