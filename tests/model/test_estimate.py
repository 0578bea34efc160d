"""A month's requests and bytes, and their price."""

from __future__ import annotations

import pytest

from redoubt.model.estimate import Month, Prices, Use, cost, month, together


def test_an_idle_tenant_costs_what_was_measured() -> None:
    """480 seconds: 9 segments, 14 PUTs in all and 21 GETs, before anything is merged."""
    of = month(Use(100, 10**6, segments=9 / 480, log_bytes=20.0))
    scale = 730 * 3600 / 480
    assert of.puts == pytest.approx(14 * scale + 9 / 64 * scale)
    assert of.gets == pytest.approx((21 + 9 + 9 / 64) * scale)
    assert of.deletes == pytest.approx(9 * scale)
    assert of.added_bytes == pytest.approx(20 * 730 * 3600)


def test_a_busy_tenant_merges_by_size() -> None:
    """Large segments are not merged more often than there are segments."""
    of = month(Use(1, 1, segments=1.25, log_bytes=5e6))
    segments = 1.25 * 730 * 3600
    assert segments < of.deletes + 1 < of.puts < 2.1 * segments
    huge = month(Use(1, 1, segments=0.001, log_bytes=1e9))
    assert huge.puts < 2 * 0.001 * 730 * 3600 + 730 * 3600 * 5 / 480 + 1


def test_without_archiving_only_data_backups_count() -> None:
    """Nobody renews a lease then."""
    assert month(Use(9, 10**6)) == Month()
    assert month(Use(9, 10**6, sets=2, set_bytes=500, set_parts=6)) == Month(puts=14, added_bytes=500)


def test_the_price_is_of_requests_and_of_what_is_stored_then() -> None:
    """In the reader's currency."""
    whole = together([Month(1000, 2000, 5, 1e9), Month(1000, 0, 5, 1e9)])
    assert whole == Month(2000, 2000, 10, 2e9)
    assert cost(whole, 10**9, Prices(puts=0.005, gets=0.0004, storage=0.02)) == pytest.approx(0.01 + 0.0008 + 0.06)
