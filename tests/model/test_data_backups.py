"""How a data backup goes on, whatever happens to its tenants, and in what order."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from redoubt.model import data_backups
from redoubt.model.bases import SetKey
from redoubt.model.data_backups import DataBackup
from redoubt.model.retention import SetStatus

KEY = SetKey(3, 20260921)
TENANTS = [1001, 1002, 1003]


def _taken(of: DataBackup, tenant_id: int, scn: int) -> DataBackup:
    part = replace(of.tenants[tenant_id], snapshot_lsn=scn, snapshot_scn=scn, start_scn=scn - 5, method="hot")
    return data_backups.changed(of, part)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["taken", "archived", "left", "failed", "succeeded"]),
        st.sampled_from(TENANTS),
        st.integers(10, 99),
    )
)


@given(STEPS)
def test_it_succeeds_only_when_every_part_that_counts_has(steps: list[tuple[str, int, int]]) -> None:
    """And what is over stays as it is."""
    now = data_backups.begin(KEY, 1, "file:///b", TENANTS, 5)
    for step, tenant_id, at in steps:
        before = now
        match step:
            case "taken":
                now = _taken(now, tenant_id, at)
            case "archived":
                now = data_backups.archived(now, tenant_id, at)
            case "left":
                now = data_backups.left(now, tenant_id, "dropped", at)
            case "failed":
                now = data_backups.failed(now, "no disk", at)
            case _:
                now = data_backups.succeeded(now, at)
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
        assert {part.status for part in parts} == {SetStatus.FAILED}
        assert all(part.comment and part.completion_time for part in parts)
