"""SIGKILL of worker, service and engines under load: the round goes on with no hole and no byte twice."""

from __future__ import annotations

import contextlib
import random

import pymysql
import pytest

from tests.dose import dose
from tests.service.cluster import (
    ServiceUnderTest,
    WriteLoad,
    assert_archive_equals_engine,
    decoded,
    wait_until,
)
from tests.service.kills import kill_part


def _grows(service: ServiceUnderTest) -> None:
    """Wait until the archive has a segment more."""
    before = len(service.segments())
    wait_until("a new segment", lambda: len(service.segments()) > before)


def _is_doing(service: ServiceUnderTest) -> bool:
    """Whether the round goes on; False while the sys engine is being restarted."""
    with contextlib.suppress(pymysql.err.MySQLError):
        return service.status() == "DOING"
    return False


@pytest.mark.timeout(300)
def test_a_round_survives_kills_under_load(stopped_service: ServiceUnderTest) -> None:
    """Worker, service and engines are killed at random moments; what is archived equals the engine's own log.

    Own service: it is killed.
    """
    service, dice = stopped_service, random.Random(20261122)
    service.keep_engine_log()
    service.start()
    service.archive("optional compression= zstd_1.3.8")
    kills = ["worker"] * dose(1, 4) + ["service"] * dose(1, 2) + ["engine"] * dose(1, 2) + ["sys engine"] * 1
    dice.shuffle(kills)

    with WriteLoad(service).running() as load:
        for victim in kills:
            _grows(service)
            load.pause(dice.uniform(0, 1.2))  # any moment of the second between two seals
            kill_part(service, victim)
        commits = load.commits
    wait_until("the sys engine is back", lambda: _is_doing(service))
    service.stop_archiving()

    start, end = assert_archive_equals_engine(service)
    assert commits > 0
    assert start == 0
    assert end > 5_000_000


def _wait_for_suffix(service: ServiceUnderTest, suffix: str) -> None:
    wait_until(f"a segment ends in {suffix}", lambda: service.segments()[-1].suffix == suffix)


def test_codecs_change_under_load_and_the_tools_decode_each(shared_service: ServiceUnderTest) -> None:
    """A new compression takes effect at the next segment; zstd, lz4 and head give back the engine's own bytes."""
    shared_service.keep_engine_log()
    shared_service.archive("optional compression= lz4_1.0")
    with WriteLoad(shared_service).running():
        for option, suffix in (
            ("compression= zstd_1.3.8", ".zst"),
            ("compression= disable", ".redo"),
            ("compression= enable", ".lz4"),
        ):
            shared_service.run(f"ALTER SYSTEM SET backup_log_archive_option = '{option}'")
            _wait_for_suffix(shared_service, suffix)
        while_writing = [segment for segment in shared_service.segments() if segment.suffix == ".zst"]

        assert all(decoded(segment) for segment in while_writing)
    shared_service.stop_archiving()

    assert {".zst", ".redo", ".lz4"} == {segment.suffix for segment in shared_service.segments()}
    assert_archive_equals_engine(shared_service)
    row = shared_service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1")[0]
    start, end = assert_archive_equals_engine(shared_service)
    assert end - start == row["INPUT_BYTES"]
    assert sum(segment.stat().st_size for segment in shared_service.segments()) == row["OUTPUT_BYTES"]
