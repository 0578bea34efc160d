"""One service that archives, and one data backup of its tenant, for all of these tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from redoubt.archive.layout import ClusterPath
from redoubt.archive.set_layout import SetIdentity, SetInfo, set_path
from redoubt.archive.set_manifest import SetSummary
from redoubt.archive.set_store import SetStore
from redoubt.backup.taking import Taking, TakingOptions
from redoubt.destinations.file import FileDestination
from redoubt.engines.seekdb.base_source import SeekdbBaseSource
from redoubt.engines.seekdb.catalog_tables import read_catalog
from redoubt.engines.seekdb.engine import SeekdbEngine
from redoubt.engines.seekdb.files import BaseDir
from redoubt.engines.seekdb.session import Session
from redoubt.home import Home
from redoubt.model.bases import SetKey
from redoubt.rehearsal.fingerprint import dump_fingerprint, take_fingerprint
from tests.service.cluster import ServiceUnderTest, wait_until

PASSWORD = "of-main-s-root"
_ITEM = """CREATE TABLE shop.item (id INT PRIMARY KEY, name VARCHAR(20), tags JSON, KEY byname (name),
  KEY bytag ((CAST(tags->'$[*]' AS UNSIGNED ARRAY))))"""
_WRITTEN = (
    "CREATE DATABASE shop",
    _ITEM,
    "CREATE TABLE shop.heap (note LONGTEXT)",
    "CREATE TABLE shop.`odd ``name` (a INT PRIMARY KEY, b INT, KEY bytwo (b, a)) PARTITION BY HASH(a) PARTITIONS 3",
    "CREATE VIEW shop.cheap AS SELECT id FROM shop.item",
    "CREATE USER clerk IDENTIFIED BY 'of-the-clerk'",
    "GRANT SELECT ON shop.* TO clerk",
    "INSERT INTO shop.item VALUES (1, 'a', '[1, 2]'), (2, NULL, NULL), (3, 'a', '[3]')",
    "INSERT INTO shop.`odd ``name` VALUES (1, 1), (2, NULL), (3, 1)",
    f"ALTER USER root IDENTIFIED BY '{PASSWORD}'",
)


@dataclass(frozen=True)
class Archive:
    """A running service, its destination, and the data backup of its tenant main."""

    service: ServiceUnderTest
    summary: SetSummary

    @property
    def uri(self) -> str:
        """The destination."""
        return f"file://{self.service.backup}"

    @property
    def set_folder(self) -> Path:
        """The folder of the data backup."""
        return self.service.backup / str(set_path(ClusterPath("redoubt", 1), 1001, self._key).folder)

    @property
    def _key(self) -> SetKey:
        return self.summary.of.key


@pytest.fixture(scope="package")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Tables, users and grants, a data backup of them with its fingerprint, and a row that came after it.

    Own service: for all tests of the folder.
    """
    service = ServiceUnderTest(tmp_path_factory.mktemp("r"))
    service.start()
    try:
        service.archive("optional compression= zstd_1.3.8")
        for statement in _WRITTEN:
            service.run(statement, "root@main")
        summary = take_set(service, 1)
        service.run("INSERT INTO shop.item VALUES (4, 'later', NULL)", "root@main", PASSWORD)
        wait_until_archived(service)
        yield Archive(service, summary)
    finally:
        service.close()


def take_set(service: ServiceUnderTest, set_id: int) -> SetSummary:
    """Take a data backup of main, and its fingerprint; the log is archived up to its snapshot when this returns."""
    base = BaseDir(service.main_dir)
    source, destination = SeekdbBaseSource(SeekdbEngine(base)), FileDestination(service.backup)
    key, identity = SetKey(set_id, 20261123), Home(service.home).identity()
    store = SetStore(destination, set_path(ClusterPath("redoubt", 1), 1001, key))
    info = SetInfo(
        SetIdentity(identity, "redoubt", 1, 1001, "main", source.source_id(), key.set_id, key.create_date),
        time.time_ns(),
    )
    session = Session(base)
    try:
        taking = Taking(
            source,
            store,
            info,
            TakingOptions(),
            lambda _done, _there: None,
            time.sleep,
            lambda scn: dump_fingerprint(take_fingerprint(scn, read_catalog(session.run, scn))),
        )
        summary = taking.run().summary
    finally:
        session.close()
    wait_until_archived(service)
    return summary


def wait_until_archived(service: ServiceUnderTest) -> None:
    """Until everything that was committed before now is in the destination."""
    now = time.time_ns()
    query = "SELECT CHECKPOINT_SCN FROM CDB_OB_ARCHIVELOG WHERE TENANT_ID = 1001"
    wait_until("the log is archived", lambda: service.run(query)[0]["CHECKPOINT_SCN"] > now)
