"""Records of drills beside an encrypted archive: what they tell of the data is encrypted as well."""

from __future__ import annotations

import pytest

from redoubt.archive.encryption import Key, KeyMissingError
from redoubt.archive.inventory import TenantPath
from redoubt.archive.layout import ClusterPath
from redoubt.rehearsal.record import DrillRecord, keep_record, kept_records
from tests.archive.fakes import MemoryDestination, know

TENANT = TenantPath(ClusterPath("redoubt", 1), 1001, "main")
RECORD = DrillRecord(
    *(1001, "main", 1, 20261201, 1_795_389_800_000_000_000, "a host", "FAILED", "", "statement 1 returned 'Alice'"),
    *(1, 1, 1, 1, 1, 1),
)


def test_a_record_is_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also beside a data backup that is not, if the log is: with a key of its own. Who has no key sees the others."""
    destination = MemoryDestination()
    plain = keep_record(destination, TENANT, RECORD)
    know(monkeypatch, Key(b"k" * 32))
    encrypted = keep_record(
        destination, TENANT, DrillRecord(**vars(RECORD) | {"started": RECORD.started + 10**9}), encrypts=True
    )

    assert b"Alice" in destination.objects[plain]
    assert b"Alice" not in destination.objects[encrypted]
    assert [record.cause for record in kept_records(destination, TENANT)] == [RECORD.cause] * 2
    know(monkeypatch, None)
    assert [record.cause for record in kept_records(destination, TENANT)] == [RECORD.cause]
    with pytest.raises(KeyMissingError):
        keep_record(destination, TENANT, DrillRecord(**vars(RECORD) | {"started": 1}), encrypts=True)
