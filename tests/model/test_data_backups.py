"""How a data backup goes on, whatever happens to its tenants, and in what order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from redoubt.model import data_backups
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import DataBackup
from redoubt.model.retention import FileStatus, SetStatus

KEY = SetKey(3, 20260921)
TENANTS = [1001, 1002, 1003]


def _taken(of: DataBackup, tenant_id: int, scn: int) -> DataBackup:
    part = replace(of.tenants[tenant_id], snapshot_lsn=scn, snapshot_scn=scn, start_scn=scn - 5, method="hot")
    return data_backups.changed(of, part)


STEPS: dict[str, Callable[[DataBackup, int, int], DataBackup]] = {
    "taken": _taken,
    "archived": data_backups.archived,
    "left": lambda of, tenant_id, at: data_backups.left(of, tenant_id, "dropped", at),
    "part failed": lambda of, tenant_id, at: data_backups.part_failed(of, tenant_id, "no engine", at),
    "failed": lambda of, _, at: data_backups.failed(of, "no disk", at),
    "ended": lambda of, _, at: data_backups.ended(of, at),
}


@given(st.lists(st.tuples(st.sampled_from([*STEPS]), st.sampled_from(TENANTS), st.integers(10, 99))))
def test_it_succeeds_only_when_every_part_that_counts_has(steps: list[tuple[str, int, int]]) -> None:
    """And what is over stays as it is."""
    now = data_backups.begin(KEY, 1, "file:///b", TENANTS, 5)
    for step, tenant_id, at in steps:
        before = now
        now = STEPS[step](now, tenant_id, at)
        if before.is_over:
            assert now == before
    parts = now.tenants.values()
    whole = now.whole(1)
    assert (whole.status, now.is_over) == (now.status, now.status is not SetStatus.DOING)
    assert (now.completion_time > 0) == now.is_over
    if now.status is SetStatus.SUCCESS:
        counting = [part for part in parts if part.status is SetStatus.SUCCESS]
        assert counting
        assert all(part.is_taken and part.completion_time for part in counting)
        assert all(part.comment == "dropped" for part in parts if part not in counting)
        assert whole.snapshot_scn == max(part.snapshot_scn for part in counting)
        assert whole.start_scn == min(part.start_scn for part in counting)
    if now.status is SetStatus.FAILED:
        assert now.comment
        assert any(part.status is SetStatus.FAILED for part in parts) or now.comment == "no disk"
    if now.is_over:
        assert not any(part.status is SetStatus.DOING for part in parts)
        assert all(part.completion_time and bool(part.comment) == (part.status is SetStatus.FAILED) for part in parts)
        has_files = any(part.status is SetStatus.SUCCESS for part in parts)
        assert now.file_status is (FileStatus.AVAILABLE if has_files else FileStatus.BROKEN)
