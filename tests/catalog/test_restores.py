"""The rows of restores on a real engine, and the views over them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pymysql

from redoubt.catalog.restores import RestoreJob, RestoreJobs, RestoreStatus
from redoubt.catalog.session import CatalogSession
from redoubt.engines.seekdb.account import connect
from tests.seekdb.running import Seekdb

BEGAN = 1_700_000_000_123_456_789
JOB = RestoreJob(
    *(0, 77, 1002, "new", 1001, "old", 1, "c", "file:///b", "a" * 32),
    *(BEGAN, BEGAN - 2000, BEGAN - 1000, "file:///b/set", "file:///b/1,file:///b/2", 3000, BEGAN),
)


def _view(seekdb: Seekdb, name: str) -> list[dict[str, Any]]:
    with connect(seekdb.base) as connection, connection.cursor(pymysql.cursors.DictCursor) as cursor:
        cursor.execute(f"SELECT * FROM oceanbase.CDB_OB_RESTORE_{name} ORDER BY JOB_ID")
        return list(cursor.fetchall())


def test_a_restore_is_under_way_until_it_has_ended(sys_engine: Seekdb, session: CatalogSession) -> None:
    """Then it is history, and what comes late changes nothing."""
    jobs = RestoreJobs(session)
    first, second = jobs.begin(JOB), jobs.begin(replace(JOB, tenant_id=1003))
    jobs.save(replace(first, status=RestoreStatus.RESTORE_USER_REPLICA, done_bytes=1000))
    laid = _view(sys_engine, "PROGRESS")
    jobs.save(replace(first, status=RestoreStatus.FAIL, info="no medium \udcff" + "x" * 5000, end_time=BEGAN + 1))
    jobs.save(replace(first, status=RestoreStatus.POST_CHECK))
    jobs.save(replace(second, status=RestoreStatus.POST_CHECK))
    (checked,), (failed,) = _view(sys_engine, "PROGRESS"), _view(sys_engine, "HISTORY")

    assert [(row["JOB_ID"], row["STATUS"]) for row in laid] == [(1, "RESTORE_USER_REPLICA"), (2, "CREATE_TENANT")]
    assert (laid[0]["INFO"], laid[0]["RESTORE_CURRENT_TIMESTAMP"]) == ("1000 of 3000 bytes", None)
    assert laid[0]["RESTORE_FINISH_TIMESTAMP"] > laid[0]["RESTORE_START_TIMESTAMP"]
    assert (laid[0]["EXTERNAL_JOB_ID"], laid[0]["PARTITION_COUNT"], laid[0]["COMPLETION_TIME"]) == (77, None, None)
    assert checked["RESTORE_CURRENT_TIMESTAMP"] == checked["RESTORE_FINISH_TIMESTAMP"]
    assert (failed["STATUS"], failed["INFO"][:12], len(failed["INFO"])) == ("RESTORE_FAIL", "no medium ?x", 4000)
    assert failed["COMPLETION_TIME"] is not None
    assert jobs.unfinished() == [replace(second, status=RestoreStatus.POST_CHECK)]
