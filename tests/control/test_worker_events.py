"""What follows when pieces of a stopping round end one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.control.cluster import Tenant
from redoubt.control.modes.chronicle import Chronicle
from redoubt.control.modes.tenant_archive import TenantArchive
from redoubt.control.rounds.worker_events import apply_event
from redoubt.messages.archiving import ALL_PIECES, PieceStopped
from redoubt.model import rounds
from redoubt.model.rounds import Round, RoundStatus
from tests.control.fakes import FakeEngine, FakeJournal

LATE = "the destination did not answer in time"


@pytest.fixture
def chronicle() -> Chronicle:
    """One that nobody reads."""
    return Chronicle(FakeJournal())  # type: ignore[arg-type]


@pytest.fixture
def archive(chronicle: Chronicle) -> TenantArchive:
    """A tenant's, of whose pieces the worker knows the first."""
    tenant = Tenant(1001, "main", Path("/nowhere"), FakeEngine())
    archive = TenantArchive(tenant, lambda: 1, lambda _: None, chronicle)
    archive.told.add(1)
    return archive


@pytest.fixture
def stopping() -> Round:
    """A round that is to stop, with two pieces in which something is left to be done."""
    begun = rounds.begin(
        Round(), tenants=[1001], start_scn=50, create_date=20260101, destination="file:///a", has_pieces=True
    )
    switched = rounds.switched(rounds.progressed(begun, 1001, 60, 1, 1, 1), 70, 20260102)
    return rounds.stopping(rounds.piece_cut(switched, 1001, 1, 75))


def test_what_kept_a_piece_from_being_archived_stays_on_record(
    stopping: Round, archive: TenantArchive, chronicle: Chronicle
) -> None:
    """Also when the other piece stops after it, without complaint."""
    now, _ = apply_event(PieceStopped(1001, 1, LATE, 2), stopping, archive, chronicle)
    assert now.status is RoundStatus.STOPPING
    now, _ = apply_event(PieceStopped(1001, 1, "", 1), now, archive, chronicle)

    assert now.status is RoundStatus.STOP
    assert now.comment == now.tenants[1001].comment == LATE


def test_a_worker_that_knows_nothing_ends_only_what_it_was_told_of(
    stopping: Round, archive: TenantArchive, chronicle: Chronicle
) -> None:
    """It may say so when the next piece is on its way to it."""
    archive.told.clear()
    now, _ = apply_event(PieceStopped(1001, 1, LATE, ALL_PIECES), stopping, archive, chronicle)
    assert now == stopping

    archive.told |= {1, 2}
    now, _ = apply_event(PieceStopped(1001, 1, LATE, ALL_PIECES), stopping, archive, chronicle)

    assert now.status is RoundStatus.STOP
    assert now.comment == LATE
    assert not archive.told
