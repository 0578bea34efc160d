"""The commands against a real service: what they print, their exit status, and what they say when it goes wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from redoubt import __version__
from tests.service.cluster import ServiceUnderTest


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUnderTest]:
    """A service whose round is DOING.

    Own service: for all tests of the file; one of them ends it.
    """
    running = ServiceUnderTest(tmp_path_factory.mktemp("cli"))
    running.start()
    running.archive("optional compression= zstd_1.3.8")
    yield running
    running.close()


def _redoubt(*arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redoubt", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("typed", ["version", "--version"])
def test_version(typed: str) -> None:
    """The version of the package, as a command and as an option."""
    shown = _redoubt(typed)

    assert (shown.stdout, shown.returncode) == (f"{__version__}\n", 0)


@pytest.mark.parametrize("typed", [(), ("--help",)])
def test_without_arguments_the_commands_are_listed(typed: tuple[str, ...]) -> None:
    """A person who types `redoubt` sees what there is."""
    shown = _redoubt(*typed)

    assert (shown.returncode, shown.stderr) == (0, "")
    for command in ("start", "sql", "status", "demo", "version"):
        assert command in shown.stdout


def test_a_shell_completes_commands() -> None:
    """The script for the shell that asks is shown, and what that script asks for then is answered."""
    program = Path(sysconfig.get_path("scripts")) / "redoubt"
    script = subprocess.run(
        ["bash", "-c", f"{program} --show-completion; exit"], capture_output=True, text=True, check=True, timeout=60
    )
    asked = {"_REDOUBT_COMPLETE": "complete_bash", "COMP_WORDS": "redoubt ro", "COMP_CWORD": "1"}
    answered = subprocess.run(
        [program], capture_output=True, text=True, check=False, timeout=60, env=os.environ | asked
    )

    assert "_REDOUBT_COMPLETE=complete_bash" in script.stdout
    assert answered.stdout.split() == ["roll-forward"]


def test_sql_prints_a_table(service: ServiceUnderTest) -> None:
    """Columns as in MySQL's client, NULL as NULL."""
    shown = _redoubt("sql", "--home", str(service.home), "SELECT 1 AS one, NULL AS nothing")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines()[1:4:2] == ["| one | nothing |", "| 1   | NULL    |"]


def test_sql_prints_json_and_reads_standard_input(service: ServiceUnderTest) -> None:
    """Several statements give several answers."""
    text = "SELECT STATUS FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1"
    shown = _redoubt("sql", "--home", str(service.home), "--json", "-", typed=text)
    several = _redoubt("sql", "--home", str(service.home), "--user", "root@main", "SET @a = 1; SELECT @a")
    set_only = _redoubt("sql", "--home", str(service.home), "--json", "SET @a = 1")

    assert json.loads(shown.stdout) == [{"STATUS": "DOING"}]
    assert several.stdout.startswith("OK, 0 rows affected\n+")
    assert json.loads(set_only.stdout) == {"affected_rows": 0}


def test_sql_says_what_went_wrong(service: ServiceUnderTest, tmp_path: Path) -> None:
    """A refused statement, a wrong password, no service, nothing on a port."""
    home = ("--home", str(service.home))
    refused = _redoubt("sql", *home, "ALTER SYSTEM ARCHIVELOG")
    wrong = _redoubt("sql", *home, "--password", "wrong", "SELECT 1")
    nobody = _redoubt("sql", "--home", str(tmp_path), "SELECT 1")
    nothing = _redoubt("sql", "--port", "1", "SELECT 1")

    assert "ERROR 1235: start log archive backup when not STOP is not supported" in refused.stderr
    assert "ERROR 1045: Access denied for user 'root'" in wrong.stderr
    assert f"no redoubt service runs in {tmp_path}; start one with: redoubt start --home {tmp_path}" in nobody.stderr
    assert "cannot connect to 127.0.0.1:1" in nothing.stderr
    assert [run.returncode for run in (refused, wrong, nobody, nothing)] == [1, 1, 1, 1]


def test_text_is_utf_8(service: ServiceUnderTest) -> None:
    """Passwords of any language log in, and bytes that are no text come as digits."""
    password = "пароль-密码"
    service.run(f"CREATE USER reader IDENTIFIED BY '{password}'")
    login = ("sql", "--home", str(service.home), "-u", "reader", "-p", password)
    shown = _redoubt(*login, "--json", "SELECT '数据' AS text, X'FF00' AS blob_of_bytes, X'6162' AS letters")
    refused = _redoubt(*login[:-1], "неверный", "SELECT 1")

    assert json.loads(shown.stdout) == [{"text": "数据", "blob_of_bytes": "0xff00", "letters": "ab"}]
    assert "ERROR 1045" in refused.stderr


def test_status_shows_round_tenants_and_pieces(service: ServiceUnderTest) -> None:
    """For people as tables, for programs as JSON."""
    shown = _redoubt("status", "--home", str(service.home))
    status = json.loads(_redoubt("status", "--home", str(service.home), "--json").stdout)

    assert shown.returncode == 0
    assert f"round 1: DOING into file://{service.backup}" in shown.stdout
    assert status["service"]["port"] == service.port
    assert status["service"]["confinement"] == "Landlock"
    assert "not confined" not in shown.stdout
    assert (status["round"]["status"], status["round"]["round_id"]) == ("DOING", 1)
    assert [tenant["tenant_id"] for tenant in status["tenants"]] == [1001]
    assert 0 <= status["tenants"][0]["lag_seconds"] < 60
    assert status["tenants"][0]["input_bytes"] > status["tenants"][0]["output_bytes"] > 0
    assert status["tenants"][0]["max_next_time"] > status["tenants"][0]["min_first_time"]
    assert [(piece["status"], piece["max_time"]) for piece in status["pieces"]] == [("ACTIVE", None)]


def test_status_without_a_service(tmp_path: Path) -> None:
    """Status 1, and a sentence; for programs as JSON too."""
    shown = _redoubt("status", "--home", str(tmp_path))
    as_json = _redoubt("status", "--home", str(tmp_path), "--json")

    assert (shown.returncode, as_json.returncode) == (1, 1)
    assert "no redoubt service runs in" in shown.stderr
    assert json.loads(as_json.stdout)["service"] is None


def test_status_of_somebody_elses_service(service: ServiceUnderTest) -> None:
    """One who may not read the service's account is told so."""
    reader = "import redoubt.cli.main as m, os, sys; os.setuid(65534); m.main()"
    account = service.home / "sys" / "redoubt" / "account"
    run = subprocess.run(
        [sys.executable, "-c", reader, "status", "--home", str(service.home)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""},
    )

    assert account.stat().st_mode & 0o077 == 0
    assert run.returncode == 1


def _demo_in(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "redoubt", "demo"],
        capture_output=True,
        text=True,
        check=False,
        timeout=150,
        env=os.environ | {"TMPDIR": str(folder)},
    )


def test_the_demo_holds_and_leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every statement of the page is played, the archive equals the engine's log, the folder is gone."""
    folder = tmp_path_factory.mktemp("d")
    run = _demo_in(folder)

    assert (run.returncode, run.stderr) == (0, "")
    for statement in (
        "ALTER SYSTEM SET backup_log_archive_option = 'optional compression= enable';",
        "ALTER SYSTEM MINOR FREEZE;",
        "ALTER SYSTEM ARCHIVELOG;",
        "SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG;",
        "SELECT * FROM CDB_OB_BACKUP_PIECE_FILES;",
        "ALTER SYSTEM NOARCHIVELOG;",
    ):
        assert f"obclient> {statement}\n" in run.stdout
    assert "every archived byte equals the engine's own log" in run.stdout
    assert list(folder.iterdir()) == []


def test_a_demo_that_cannot_start_says_why(tmp_path: Path) -> None:
    """Here: a folder for temporary files with too long a name for the engines' sockets."""
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    run = _demo_in(folder)

    assert run.returncode == 1
    assert "the service did not start" in run.stderr
    assert "choose a shorter home directory" in run.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("drill", "file:///b", "--query", "SELECT 1", "--query", "SELECT 2"), "--query"),
        (("sql", "-u", "a", "SELECT 1", "--user", "b"), "--user"),
        (("status", "--home", "/a", "--home=/b"), "--home"),
        (("restore", "file:///b", "--to", "/a", "--to", "/b"), "--to"),
    ],
)
def test_an_option_that_is_given_twice_is_refused(arguments: tuple[str, ...], option: str) -> None:
    """The first value would vanish: a drill would pass without having asked the first question."""
    refused = _redoubt(*arguments)

    assert refused.returncode == 2
    assert f"{option} was given 2 times; give it once" in " ".join(refused.stderr.replace("│", " ").split())
