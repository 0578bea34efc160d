"""Pieces on real engines: switched under load, over kills, with synchronous commits, and stopped in the middle."""

from __future__ import annotations

import json
import random
from itertools import pairwise

from tests.dose import dose
from tests.service.cluster import (
    ServiceUnderTest,
    WriteLoad,
    assert_archive_equals_engine,
    wait_until,
)
from tests.service.kills import kill_part
from tests.service.piece_rounds import archive_in_pieces, pieces, wait_for_pieces


def assert_pieces_are_right(service: ServiceUnderTest, round_id: int = 1) -> None:
    """Each begins where the one before ended, has its folder, and a manifest that says so."""
    for tenant_id in (1, 1001):
        rows = [row for row in pieces(service, tenant_id) if row["ROUND_ID"] == round_id]
        assert {(row["STATUS"], row["FILE_STATUS"]) for row in rows} == {("FROZEN", "AVAILABLE")}
        for before, after in pairwise(rows):
            assert after["BACKUP_PIECE_ID"] == before["BACKUP_PIECE_ID"] + 1
            assert after["START_TS"] == before["MAX_TS"] == before["CHECKPOINT_TS"], (before, after)
    names = [f"{row['ROUND_ID']}_{row['BACKUP_PIECE_ID']}_{row['CREATE_DATE']}" for row in rows]
    folders = service.piece_folders(round_id)
    assert [folder.name for folder in folders] == names[: len(folders)]
    assert len(folders) >= len(names) - 1  # the last one has none if the log never came to it
    manifests = [json.loads((folder / "single_piece_info").read_text()) for folder in folders]
    for before, after in pairwise(manifests):
        assert (after["start_lsn"], after["start_scn"]) == (before["end_lsn"], before["end_scn"])
        assert after["chain_before"] in {None, before["chain_after"]}


def test_pieces_are_switched_under_load_and_over_kills(service: ServiceUnderTest) -> None:
    """Whoever is killed at whatever moment, nothing is lost, double, or in the wrong piece.

    Own service: it is killed.
    """
    rng = random.Random(7)
    service.keep_engine_log()
    archive_in_pieces(service, 1)
    with WriteLoad(service).running() as load:
        for kill in dose(("worker", "service"), ("worker", "worker", "service", "worker", "service", "worker")):
            wait_for_pieces(service, len(pieces(service)) + 1)
            load.pause(rng.random() * 0.4)
            if kill == "worker":
                kill_part(service, kill)
            else:
                service.kill()
                service.start()  # while what the first one had started may still be ending
        wait_for_pieces(service, len(pieces(service)) + 2)
    service.stop_archiving()

    assert_archive_equals_engine(service)
    assert_pieces_are_right(service)
    (row,) = service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG_SUMMARY WHERE TENANT_ID = 1001")
    segments = service.segments()
    assert row["INPUT_BYTES"] == int(segments[-1].name[21:41]) - int(segments[0].name[:20])
    assert row["OUTPUT_BYTES"] == sum(path.stat().st_size for path in segments)
    assert (row["START_PIECE_ID"], row["BACKUP_PIECE_ID"]) == (1, len(pieces(service)))


def test_a_switch_holds_up_no_synchronous_commit(service: ServiceUnderTest) -> None:
    """Commits that wait at the cut are acknowledged when the next piece has their log; numbers go on over rounds.

    Own service: its pieces are numbered from 1 on.
    """
    service.keep_engine_log()
    archive_in_pieces(service, 1, "mandatory")
    service.run("ALTER SYSTEM SET log_archive_sync_commit = True, log_archive_sync_timeout = '5s'")
    with WriteLoad(service, rows_per_insert=1).running() as load:
        wait_for_pieces(service, dose(3, 5))
        wait_until("there were many commits", lambda: load.commits > 100)
    states = service.run("SELECT SYNC_COMMIT, CAUSE FROM CDB_REDOUBT_ARCHIVELOG_STATUS WHERE TENANT_ID = 1001")
    service.stop_archiving()

    assert states == [{"SYNC_COMMIT": "SYNC", "CAUSE": ""}]
    assert_archive_equals_engine(service)
    assert_pieces_are_right(service)
    last = len(pieces(service))
    service.run("ALTER SYSTEM SET backup_dest_option = ''")
    service.archive()
    (row,) = service.run("SELECT * FROM CDB_OB_BACKUP_ARCHIVELOG WHERE TENANT_ID = 1001")
    assert (row["START_PIECE_ID"], row["BACKUP_PIECE_ID"]) == (0, last)
    service.stop_archiving()
    assert service.round_folder(2).is_dir()
    archive_in_pieces(service, 3600)
    assert pieces(service)[-1]["BACKUP_PIECE_ID"] == last + 1
    code, text = service.error("ALTER SYSTEM SET backup_dest_option = ''")
    assert code == 1235
    assert text.startswith("change switch piece mode during log archive running is not supported")
    service.stop_archiving()
