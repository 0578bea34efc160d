"""`redoubt estimate`: what it prints, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from redoubt.cli.estimate import show_estimate
from redoubt.destinations.file import FileDestination
from redoubt.model.estimate import Prices
from tests.verify.small import LIVE, SmallArchive


@pytest.fixture
def uri(tmp_path: Path) -> str:
    """A small archive in a directory."""
    for name, data in SmallArchive().destination.objects.items():
        FileDestination(tmp_path).put_if_absent(name, data)
    return f"file://{tmp_path}"


def test_people_see_requests_bytes_and_the_price(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The price only if they give theirs."""
    assert show_estimate(uri, None, as_json=False) == 0
    out = capsys.readouterr().out
    assert "a month at the present rate: " in out
    assert "that costs" not in out
    assert show_estimate(uri, Prices(1, 1, 1), as_json=False) == 0
    assert "that costs" in capsys.readouterr().out


def test_programs_get_the_same(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    """All figures of each tenant."""
    assert show_estimate(uri, Prices(storage=1000), as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    (tenant,) = found["tenants"]
    assert tenant["tenant"] == "main"
    assert tenant["month"] == found["month"]
    assert tenant["stored_bytes"] == found["stored_bytes"] > 0
    assert found["cost"] == pytest.approx((found["stored_bytes"] + found["month"]["added_bytes"]) / 1e6)


def test_what_is_not_archived_or_not_there_is_said(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a cause, and exit status 1 where there is nothing."""
    for file in (path for path in tmp_path.rglob("*") if f"/clog/{LIVE}/" in str(path) and path.is_file()):
        file.unlink()
    assert show_estimate(uri, None, as_json=False) == 0
    assert "no log is being archived here" in " ".join(capsys.readouterr().out.split())
    (tmp_path / "empty").mkdir()
    assert show_estimate(f"file://{tmp_path}/empty", None, as_json=False) == 1
    assert "no cluster has a backup there" in capsys.readouterr().err
    assert show_estimate("nonsense", None, as_json=True) == 1
    assert "write the destination as" in json.loads(capsys.readouterr().out)["error"]
