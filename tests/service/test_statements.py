"""Statements, parameters and privileges in sys and user sessions, and every refusal with its code."""

from __future__ import annotations

import pymysql
import pytest

from tests.gateway.raw import RawClient
from tests.service.cluster import ServiceUnderTest

OPTION = "backup_log_archive_option"
PRIVILEGE = "Access denied; you need (at least one of) the SUPER or ALTER SYSTEM privilege(s) for this operation"


def _value(service: ServiceUnderTest, name: str) -> str:
    return str(service.run(f"SHOW PARAMETERS LIKE '{name}'")[0]["value"])


def test_show_parameters_merges_ours_with_the_engines(shared_service: ServiceUnderTest) -> None:
    """LIKE, WHERE and no condition at all see both."""
    names = {row["name"] for row in shared_service.run("SHOW PARAMETERS")}

    assert {"backup_dest", OPTION, "log_disk_size"} <= names
    before = ["backup_backup_dest", "backup_dest", "backup_dest_option", "backup_keep_interval", "backup_keep_window"]
    ours = [*before, OPTION, "backup_net_limit", "backup_pause_limit", "backup_recovery_window"]
    assert [row["name"] for row in shared_service.run("SHOW PARAMETERS LIKE 'backup%'")] == ours
    assert [row["name"] for row in shared_service.run("SHOW PARAMETERS LIKE 'backup\\_log%'")] == [OPTION]
    rows = shared_service.run(f"SHOW PARAMETERS WHERE name IN ('{OPTION}', 'log_disk_size')")
    assert {OPTION, "log_disk_size"} == {row["name"] for row in rows}
    assert rows[0]["default_value"] == "OPTIONAL COMPRESSION=ENABLE"
    listed = [row["name"] for row in shared_service.run("SHOW PARAMETERS")]
    assert listed == sorted(listed)
    assert "_allow_short_intervals" not in listed
    hidden = shared_service.run("SHOW PARAMETERS LIKE '\\_allow\\_short\\_intervals'")
    assert [row["value"] for row in hidden] == ["False"]
    assert shared_service.run("SHOW PARAMETERS LIKE 'no such thing'") == []


def _until_eof(client: RawClient) -> list[bytes]:
    packets = [client.receive()]
    while packets[-1][0] != 0xFE:
        packets.append(client.receive())
    return packets


def _prepared(client: RawClient, user: str, sql: str, count: int) -> bytes:
    """The first packet of the answer to a preparation, which announces `count` columns and no parameters."""
    client.log_in(user)
    client.send(b"\x16" + sql.encode())
    head = client.receive()
    assert (head[0], head[5:7]) == (0, bytes((count, 0)))
    return head


@pytest.mark.parametrize(
    ("user", "sql", "count"),
    [
        ("root@sys", "SHOW TENANTS", 5),
        ("root@sys", "SHOW TENANTS LIKE 'no such'", 5),
        ("root@sys", "SHOW PARAMETERS", 11),
        ("root@sys", "SHOW PARAMETERS WHERE name = 'log_disk_size'", 11),
        ("root@main", "SHOW PARAMETERS LIKE 'log%'", 11),
    ],
)
def test_a_prepared_statement_tells_the_columns_that_come(
    shared_service: ServiceUnderTest, user: str, sql: str, count: int
) -> None:
    """Their definitions at the preparation are those of the execution, byte by byte."""
    with RawClient(shared_service) as client:
        head = _prepared(client, user, sql, count)
        told = _until_eof(client)[:-1]
        client.send(b"\x17" + head[1:5] + b"\0\1\0\0\0")
        assert client.receive() == bytes((count,))

        assert _until_eof(client)[:-1] == told
        assert len(told) == count


@pytest.mark.parametrize(
    ("user", "sql", "count"),
    [
        ("root@sys", "SHOW RESTORE PREVIEW", 5),
        ("root@sys", "ALTER SYSTEM NOARCHIVELOG", 0),
        ("root@sys", "ALTER SYSTEM SUSPEND BACKUP", 0),
        ("root@main", "SHOW TENANTS", 0),
        ("root@main", "SHOW RESTORE PREVIEW", 0),
    ],
)
def test_a_prepared_statement_is_not_run_to_tell_its_columns(
    shared_service: ServiceUnderTest, user: str, sql: str, count: int
) -> None:
    """Statements that would be refused are prepared; those without rows tell no columns."""
    with RawClient(shared_service) as client:
        head = _prepared(client, user, sql, count)
        assert count == 0 or len(_until_eof(client)) == count + 1
        client.send(b"\x17" + head[1:5] + b"\0\1\0\0\0")

        assert client.receive()[0] == 0xFF


def test_an_option_is_kept_as_typed_and_in_effect_over_a_restart(service: ServiceUnderTest) -> None:
    """A value that names one field leaves the others, also after a restart.

    Own service: it is restarted.
    """
    service.run(f"ALTER SYSTEM SET {OPTION} = 'MANDATORY compression= zstd_1.3.8'")
    service.run(f"ALTER SYSTEM SET {OPTION} = 'COMPRESSION=lz4_1.0'")

    assert _value(service, OPTION) == "COMPRESSION=lz4_1.0"
    assert service.stop() == 0
    service.start()
    assert _value(service, OPTION) == "COMPRESSION=lz4_1.0"
    code, text = service.error(f"ALTER SYSTEM SET {OPTION} = 'compression= disable'")
    assert code == 4147
    assert "optional compression= disable" in text
    service.run(f"ALTER SYSTEM SET {OPTION} = 'optional compression= disable'")


@pytest.mark.parametrize(
    "value",
    ["", "optional compression= none", "optional biubiu", "compression==disable", "optional,compression=enable"],
)
def test_a_bad_option_is_4147_and_changes_nothing(shared_service: ServiceUnderTest, value: str) -> None:
    """The present value stays."""
    before = _value(shared_service, OPTION)

    assert shared_service.error(f"ALTER SYSTEM SET {OPTION} = '{value}'")[0] == 4147
    assert before == _value(shared_service, OPTION)


def test_several_parameters_are_set_together_or_not_at_all(shared_service: ServiceUnderTest) -> None:
    """Ours are checked before the engine's are set, and the engine's before ours are."""
    before = _value(shared_service, OPTION)
    both = f"ALTER SYSTEM SET {OPTION} = '%s', syslog_level = '%s'"

    assert shared_service.error(both % ("nonsense", "WARN"))[0] == 4147
    assert _value(shared_service, "syslog_level") != "WARN"
    assert shared_service.error(both % ("optional", "no level")) == (4147, "Invalid config")
    assert before == _value(shared_service, OPTION)
    shared_service.run(both % ("optional compression = lz4_1.0", "WARN"))
    assert (
        _value(shared_service, "syslog_level"),
        _value(shared_service, OPTION),
    ) == ("WARN", "optional compression = lz4_1.0")


def test_what_is_not_ours_goes_to_the_engine(shared_service: ServiceUnderTest) -> None:
    """Unknown parameters and forms get the engine's own errors."""
    assert shared_service.error("ALTER SYSTEM SET no_such_parameter = 1") == (5099, "System config unknown")
    assert shared_service.error("ALTER SYSTEM ARCHIVELOG NOW")[0] == 1064
    assert shared_service.error(f"ALTER SYSTEM SET {OPTION} = 'optional' TENANT = main")[0] == 5099
    shared_service.run("ALTER SYSTEM SET syslog_level = 'ERROR'")


def test_stopping_what_does_not_run_is_9024(shared_service: ServiceUnderTest) -> None:
    """NOARCHIVELOG in STOP."""
    assert shared_service.error("ALTER SYSTEM NOARCHIVELOG") == (9024, "log archive backup is already disabled")


def test_starting_without_a_destination_is_9026(shared_service: ServiceUnderTest) -> None:
    """The text says what to set."""
    code, text = shared_service.error("ALTER SYSTEM ARCHIVELOG")

    assert code == 9026
    assert text.startswith("backup destination is not valid")
    assert "ALTER SYSTEM SET backup_dest" in text


def test_a_running_round_refuses_a_second_start_and_a_new_destination(shared_service: ServiceUnderTest) -> None:
    """1235 and 9036, from BEGINNING on; after a stop the same destination is not empty any more: 9026."""
    shared_service.run(f"ALTER SYSTEM SET backup_dest = 'file://{shared_service.backup}'")
    shared_service.run("ALTER SYSTEM ARCHIVELOG")

    expected = (1235, "start log archive backup when not STOP is not supported")
    assert expected == shared_service.error("ALTER SYSTEM ARCHIVELOG")
    assert shared_service.error("ALTER SYSTEM SET backup_dest = 'file:///elsewhere'")[0] == 9036
    shared_service.wait_for_status("DOING")
    assert expected == shared_service.error("ALTER SYSTEM ARCHIVELOG")
    shared_service.stop_archiving()
    code, text = shared_service.error(f"ALTER SYSTEM SET backup_dest = 'file://{shared_service.backup}'")
    assert code == 9026
    assert "already holds a log archive" in text
    shared_service.run("ALTER SYSTEM SET backup_dest = ''")
    assert _value(shared_service, "backup_dest") == ""


def test_a_round_can_be_stopped_at_once(shared_service: ServiceUnderTest) -> None:
    """NOARCHIVELOG right behind ARCHIVELOG ends in STOP, holds no log, and the next round works."""
    shared_service.run(f"ALTER SYSTEM SET backup_dest = 'file://{shared_service.backup}'")
    with shared_service.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM ARCHIVELOG")
        cursor.execute("ALTER SYSTEM NOARCHIVELOG")
    shared_service.wait_for_status("STOP")

    assert shared_service.error("ALTER SYSTEM NOARCHIVELOG")[0] == 9024
    shared_service.archive()
    shared_service.stop_archiving()


def test_minor_freeze_takes_all_forms(shared_service: ServiceUnderTest) -> None:
    """Every tenant, named ones, sys; an unknown one is refused."""
    for scope in (
        "",
        "TENANT = main",
        "TENANT = (sys, main)",
        "TENANT = ALL",
        "SERVER = ('127.0.0.1:2882')",
        "ZONE = 'zone1'",
        "PARTITION_ID = '0%1@1001'",
    ):
        shared_service.run(f"ALTER SYSTEM MINOR FREEZE {scope}")

    assert shared_service.error("ALTER SYSTEM MINOR FREEZE TENANT = nobody") == (5157, "Unknown tenant 'nobody'")


def test_cluster_statements_are_not_for_user_tenants(shared_service: ServiceUnderTest) -> None:
    """1227 for the statements, 5099 for the parameters, as in OceanBase; a minor freeze of its own is the tenant's."""
    assert shared_service.error("ALTER SYSTEM ARCHIVELOG", "root@main") == (1227, PRIVILEGE)
    assert shared_service.error("ALTER SYSTEM NOARCHIVELOG", "root@main") == (1227, PRIVILEGE)
    assert shared_service.error(f"ALTER SYSTEM SET {OPTION} = 'optional'", "root@main")[0] == 5099
    shared_service.run("ALTER SYSTEM MINOR FREEZE", "root@main")


def test_alter_system_is_needed_and_enough(shared_service: ServiceUnderTest) -> None:
    """A user with that privilege may; one without gets 1227 for each statement."""
    shared_service.run("CREATE USER IF NOT EXISTS operator IDENTIFIED BY 'o'")
    shared_service.run("CREATE USER IF NOT EXISTS visitor IDENTIFIED BY 'v'")
    shared_service.run("GRANT ALTER SYSTEM ON *.* TO operator")

    assert shared_service.error("ALTER SYSTEM NOARCHIVELOG", "operator@sys", "o")[0] == 9024
    shared_service.run(f"ALTER SYSTEM SET {OPTION} = 'optional'", "operator@sys", "o")
    for statement in (
        "ALTER SYSTEM ARCHIVELOG",
        "ALTER SYSTEM NOARCHIVELOG",
        "ALTER SYSTEM MINOR FREEZE",
        f"ALTER SYSTEM SET {OPTION} = 'optional'",
    ):
        assert shared_service.error(statement, "visitor@sys", "v") == (1227, PRIVILEGE)


def test_root_can_change_its_password_without_locking_the_service_out(service: ServiceUnderTest) -> None:
    """In sys and in main; the service logs in as itself, also after a restart.

    Own service: it is restarted.
    """
    service.run("ALTER USER root IDENTIFIED BY 'secret'")
    service.run("ALTER USER root IDENTIFIED BY 'other'", "root@main")
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        service.connect("root@sys")
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        service.connect("root@main", "secret")
    service.stop()
    service.start()

    service.run(f"ALTER SYSTEM SET backup_dest = 'file://{service.backup}'", password="secret")
    service.run("ALTER SYSTEM ARCHIVELOG", password="secret")
    service.run("ALTER SYSTEM MINOR FREEZE", password="secret")
    assert service.run("SELECT 1", "root@main", "other") == [{"1": 1}]
    for account in (service.home / "sys", service.main_dir):
        assert (account / "redoubt" / "account").stat().st_mode & 0o777 == 0o600
