"""The engine's role in its directory is changed and put back, whatever happens in between."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from redoubt.engines.seekdb import standby_instance
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.standby_instance import StandbySeekdb
from redoubt.engines.seekdb.standby_role import RoleError, become_primary_again, become_standby
from redoubt.model.keeping import EngineSizes
from redoubt.model.standby import NoPrivateNetworkError

PRIMARY = "PRIMARY:INVALID:NORMAL:0"


def directory_with_role(path: Path, role: str) -> BaseDir:
    """A directory with nothing in it but parameters, the role among them."""
    (path / "store" / "sstable").mkdir(parents=True)
    _run(path, "CREATE TABLE __all_sys_parameter (name TEXT PRIMARY KEY, value TEXT, info TEXT, version INTEGER)")
    _run(path, f"INSERT INTO __all_sys_parameter VALUES ('server_role_info', '{role}', NULL, 3), ('é', '1G', 'x', 0)")
    return BaseDir(path)


def _run(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path / "store" / "sstable" / "meta.db")) as database:
        rows = database.execute(sql).fetchall()
        database.commit()
    return rows


def role_of(path: Path) -> object:
    """The role that a directory's engine would start in."""
    return _run(path, "SELECT value FROM __all_sys_parameter WHERE name = 'server_role_info'")[0][0]


def _rows(path: Path) -> list[tuple[object, ...]]:
    return _run(path, "SELECT * FROM __all_sys_parameter ORDER BY name")


def test_all_parameters_are_as_they_were_after_the_role_was_changed(tmp_path: Path) -> None:
    """Also one that the engine has added or changed meanwhile; a second time does no harm."""
    base = directory_with_role(tmp_path, PRIMARY)
    before = _rows(tmp_path)
    become_standby(base)
    assert ("server_role_info", "STANDBY:INVALID:NORMAL:0", None, 3) in _rows(tmp_path)
    _run(tmp_path, "INSERT INTO __all_sys_parameter VALUES ('memory_budget', '2G', NULL, 1)")
    become_primary_again(base)
    become_primary_again(base)
    assert (_rows(tmp_path), base.parameters_before.exists()) == (before, False)


def test_what_a_killed_run_left_is_put_back_by_the_next(tmp_path: Path) -> None:
    """The next one begins with the role of before, and ends with it."""
    base = directory_with_role(tmp_path, PRIMARY)
    before = _rows(tmp_path)
    become_standby(base)
    become_standby(base)
    become_primary_again(base)
    assert _rows(tmp_path) == before


@pytest.mark.parametrize("role", ["STANDBY:INVALID:NORMAL:0", "PRIMARY:INVALID:SWITCHING:4", ""])
def test_any_other_role_is_left_alone(tmp_path: Path, role: str) -> None:
    """Nothing is changed, nothing is kept."""
    base = directory_with_role(tmp_path, role)
    before = _rows(tmp_path)
    with pytest.raises(RoleError, match="nothing was changed"):
        become_standby(base)
    assert (_rows(tmp_path), base.parameters_before.exists()) == (before, False)


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"
HOSTILE = {
    "computes for ever": (f"{ENDLESS} 'server_role_info' AS name, max(i) AS value FROM n", "interrupted"),
    "has many rows": (f"{ENDLESS} 'server_role_info' AS name, '{PRIMARY}' AS value FROM n", "instead of"),
    "has many other rows": (
        f"SELECT 'server_role_info' AS name, '{PRIMARY}' AS value UNION ALL SELECT * FROM ({ENDLESS} 'a', 'b' FROM n)",
        "its parameters are no parameters",
    ),
    "has blobs": (
        f"SELECT 'server_role_info' AS name, '{PRIMARY}' AS value UNION ALL SELECT 'a', x'00'",
        "its parameters are no parameters",
    ),
    "has a huge value": ("SELECT 'server_role_info' AS name, zeroblob(1000000000) AS value", "too big"),
}


@pytest.mark.parametrize(("view", "why"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_database_that_means_harm_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str, why: str
) -> None:
    """It comes from a data backup: a view in the place of the table."""
    monkeypatch.setattr("redoubt.engines.seekdb.standby_role._PATIENCE", 1.0)
    base = directory_with_role(tmp_path, PRIMARY)
    _run(tmp_path, "DROP TABLE __all_sys_parameter")
    _run(tmp_path, f"CREATE VIEW __all_sys_parameter AS {view}")
    with pytest.raises((RoleError, OSError), match=why):
        become_standby(base)
    assert not base.parameters_before.exists()


def test_a_database_that_is_none_is_an_os_error(tmp_path: Path) -> None:
    """Missing, or damaged."""
    with pytest.raises(OSError, match=r"meta\.db"):
        become_standby(BaseDir(tmp_path))
    directory_with_role(tmp_path, PRIMARY)
    (tmp_path / "store" / "sstable" / "meta.db").write_bytes(b"no database" * 1000)
    with pytest.raises(OSError, match=r"meta\.db"):
        become_standby(BaseDir(tmp_path))


def test_no_engine_listens_where_nothing_hides_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network of its own it is not started, and the directory stays what it is."""
    monkeypatch.setattr(standby_instance, "private_networks_work", lambda: "not allowed here")
    engine = StandbySeekdb(BaseDir(tmp_path), EngineSizes())
    with pytest.raises(NoPrivateNetworkError, match="not allowed here"):
        engine.begin()
    assert list(tmp_path.iterdir()) == []
