"""One real engine with a catalog for all of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from redoubt.catalog import tables
from redoubt.catalog.catalog import Catalog
from redoubt.catalog.journal import Journal
from redoubt.catalog.restores import RESTORE_TABLE
from redoubt.catalog.second_backups import JOB_TABLE, TASK_TABLE
from redoubt.catalog.session import CatalogSession
from redoubt.engines.seekdb.account import connect
from tests.catalog.rows import Rows
from tests.seekdb.running import Seekdb, running_seekdb


@pytest.fixture(scope="package")
def sys_engine() -> Iterator[Seekdb]:
    """A running engine with the catalog's tables and views.

    Own engine: for all tests of the folder.
    """
    with running_seekdb() as seekdb:
        session = CatalogSession(lambda: connect(seekdb.base))
        Catalog(session).prepare()
        yield seekdb
        session.close()


@pytest.fixture
def session(sys_engine: Seekdb) -> Iterator[CatalogSession]:
    """A session on it, with nothing in the journal and the catalog."""
    session = CatalogSession(lambda: connect(sys_engine.base))
    emptied = (
        tables.STATE_TABLE,
        tables.EVENT_TABLE,
        tables.HOLE_TABLE,
        tables.HISTORY_TABLE,
        tables.PIECE_TABLE,
        tables.TENANT_TABLE,
        tables.SET_TABLE,
        tables.CLEAN_TABLE,
        RESTORE_TABLE,
        JOB_TABLE,
        TASK_TABLE,
    )
    with session.cursor() as cursor:
        for table in emptied:
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute(f"DELETE FROM {tables.STATUS_TABLE} WHERE tenant_id <> %s", (tables.SYS_TENANT_ID,))
    yield session
    session.close()


@pytest.fixture
def journal(session: CatalogSession) -> Journal:
    """An empty journal."""
    return Journal(session)


@pytest.fixture
def rows(sys_engine: Seekdb, session: CatalogSession) -> Rows:
    """On empty tables."""
    with session.cursor() as cursor:
        for table in (
            tables.STATUS_TABLE,
            tables.SET_TABLE,
            tables.CLEAN_TABLE,
            tables.SERVER_TABLE,
            tables.TENANT_TABLE,
        ):
            cursor.execute(f"DELETE FROM {table}")
        cursor.execute(f"DELETE FROM {tables.PARAMETER_TABLE} WHERE name <> '_schema_version'")
    return Rows(sys_engine, session)
