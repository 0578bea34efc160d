"""What is stored of a base that was rolled forward, and what stays of one that could not be: no engine takes part."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from redoubt.cli import roll_forward as command
from redoubt.cli.roll_forward import RollOptions, run_roll_forward
from redoubt.model.scratch_engine import NotRolledError, Rows, StatementError, TableName
from redoubt.model.seams import DestinationError
from redoubt.rehearsal.fingerprint import dump_fingerprint, fingerprint_of, take_fingerprint
from redoubt.rehearsal.roll_forward import Rolled, plan_roll, roll_forward
from tests.archive.fakes import MemoryDestination
from tests.rehearsal.fakes import FakeEngine, FakeKind
from tests.restore.small import SmallArchive, ordinary


def rolled(archive: SmallArchive, scn: int | None, folder: Path, engine: FakeEngine | None = None) -> Rolled:
    """Roll to a moment."""
    kind = FakeKind(engine or FakeEngine())
    plan = plan_roll(archive.destination, archive.tenant, scn, kind.cutter)
    return roll_forward(
        *(archive.destination, plan, folder, kind, lambda _summary: []),
        *(lambda _done, _all: None, lambda _text: None),
    )


def test_the_new_set_goes_on_with_the_old_one_s_log(tmp_path: Path) -> None:
    """The next number, the moment as its snapshot; restores from then on begin with it."""
    archive = ordinary()
    before = archive.plan(None)
    made = rolled(archive, None, tmp_path)

    assert (made.summary.of.set_id, made.summary.method) == (before.base.summary.of.set_id + 1, "rolled")
    assert (made.summary.snapshot_lsn, made.summary.snapshot_scn) == (before.end.lsn, before.end.scn)
    assert made.summary.of.source == before.base.summary.of.source
    assert archive.plan(None).base.summary == made.summary
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NotRolledError, match="nothing to roll forward"):
        rolled(archive, None, tmp_path)


def test_the_new_set_has_a_fingerprint_of_the_moment(tmp_path: Path) -> None:
    """With which later drills compare; the older one's is compared here, and said of."""
    archive = ordinary()
    before = archive.plan(None)
    old, new = ((1,),), ((1,), (2,))
    then = take_fingerprint(before.base.summary.snapshot_scn, [("system", old)])
    before.base_store.put_remark(before.base_store.path.fingerprint, dump_fingerprint(then))
    made = rolled(archive, None, tmp_path, FakeEngine({then.scn: old, before.end.scn: new, None: new}))

    assert made.checked == "0 tables and 1 system tables read; the schema at the snapshot matches the fingerprint"
    recorded = fingerprint_of(archive.plan(None).base_store)
    assert recorded == take_fingerprint(before.end.scn, [("system", new)])


@pytest.mark.parametrize(
    ("counts", "system", "text"),
    [
        ({TableName("a", "b"): StatementError("no such block")}, (), "a.b: no such block"),
        ({}, ((1,),), "the schema differs from the snapshot: system has 1 rows, not 0"),
    ],
)
def test_what_does_not_pass_a_drills_check_is_not_stored(
    tmp_path: Path, counts: dict[TableName, int | StatementError], system: Rows, text: str
) -> None:
    """A table that does not open, and another schema than was recorded."""
    archive = ordinary()
    plan = archive.plan(None)
    then = take_fingerprint(plan.base.summary.snapshot_scn, [("system", ())])
    plan.base_store.put_remark(plan.base_store.path.fingerprint, dump_fingerprint(then))
    before = dict(archive.destination.objects)
    with pytest.raises(NotRolledError, match=f"the rolled-forward data failed its check: {re.escape(text)}"):
        rolled(archive, None, tmp_path, FakeEngine({then.scn: system}, counts))
    assert archive.destination.objects == before
    assert list(tmp_path.iterdir()) == []


def test_nothing_stays_of_a_set_that_cannot_be_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The destination fails in the midst of it."""
    archive = ordinary()
    before, put = dict(archive.destination.objects), MemoryDestination.put_if_absent

    def full(destination: MemoryDestination, name: str, data: bytes) -> None:
        if name.endswith("single_backup_set_info"):
            raise DestinationError("the disk is full")
        put(destination, name, data)

    monkeypatch.setattr(MemoryDestination, "put_if_absent", full)
    with pytest.raises(DestinationError, match="the disk is full"):
        rolled(archive, None, tmp_path)
    assert archive.destination.objects == before
    assert list(tmp_path.iterdir()) == []


def test_a_cluster_that_cannot_be_told_of_the_new_set_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is made, and what to do is said: its service does not run."""
    archive = ordinary()
    plan, made = archive.plan(None), rolled(archive, None, tmp_path)
    monkeypatch.setattr(command, "_roll", lambda _options: (plan, made))
    nothing = dict.fromkeys(("tenant", "until", "scn", "scratch", "user"))
    options = RollOptions(uri="", utc=False, password="", home=tmp_path, json=True, **nothing)

    assert run_roll_forward(options) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["set_id"] == made.summary.of.set_id
    assert "is not in the catalog of" in said.err
    assert "stop the service and run redoubt repair-catalog" in said.err
