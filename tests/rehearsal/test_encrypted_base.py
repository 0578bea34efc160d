"""What a roll-forward makes of an encrypted archive is encrypted too; where it cannot be, that is said at once."""

from __future__ import annotations

import pytest

from redoubt.archive.encryption import Key, KeyMissingError
from redoubt.archive.inventory import TenantPath
from redoubt.engines.seekdb.log_layer import SeekdbLogCutter
from redoubt.rehearsal.roll_forward import _terms
from redoubt.restore.planning import Plan, make_plan
from tests.archive.fakes import know
from tests.verify.small import CLUSTER, TENANT, SmallArchive

MASTER = Key(b"m" * 32)


def plan_of(small: SmallArchive) -> Plan:
    """A restore of the newest moment."""
    return make_plan(small.destination, TenantPath(CLUSTER, TENANT, "main"), None, SeekdbLogCutter())


def test_of_an_encrypted_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the present master key; a former one opens the base, but encrypts nothing new. Without, there is no plan."""
    know(monkeypatch, MASTER)
    small = SmallArchive(encrypts=True)
    plan = plan_of(small)
    assert (plan.is_encrypted(), _terms(plan).encrypts, _terms(plan).password) == (True, True, "")

    know(monkeypatch, None, MASTER)
    with pytest.raises(KeyMissingError, match="no master key is set to encrypt the new data backup with"):
        _terms(plan_of(small))
    know(monkeypatch, None)
    with pytest.raises(KeyMissingError, match=MASTER.id):
        plan_of(small)


def test_of_a_plain_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not encrypted, whatever key is known."""
    know(monkeypatch, MASTER)
    plan = plan_of(SmallArchive())

    assert (plan.is_encrypted(), _terms(plan).encrypts) == (False, False)
