"""The commands that look at a destination: verify, window, and what repair-catalog refuses."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from redoubt.catalog.session import CatalogError
from redoubt.cli import repair_catalog
from redoubt.cli.main import app
from redoubt.cli.verify import state_file
from tests.verify.small import CLUSTER, FIRST, SECOND, TENANT, SmallArchive, real_groups


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the small archive, and a cache of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "backup"
    for name, data in SmallArchive().destination.objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def run(*arguments: object) -> Result:
    """A command, as typed."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(*arguments: object) -> dict[str, Any]:
    """A command's JSON."""
    found: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return found


def last_segment(archive: Path) -> Path:
    """The only segment of the second piece."""
    return next((archive / CLUSTER.clog(TENANT) / str(SECOND)).glob("*.redo"))


def test_verify_says_that_all_is_sound_and_remembers_it(archive: Path) -> None:
    """A second run passes over what the first one read; --all does not, and --older-than 0s neither."""
    uri = f"file://{archive}"
    first, again = run("verify", uri), run("verify", uri)
    everything, older = answer("verify", uri, "--all"), answer("verify", uri, "--older-than", "0s")
    skipped = answer("verify", uri, "--jobs", 2)

    assert (first.exit_code, again.exit_code) == (0, 0)
    assert first.stdout.endswith("sound\n")
    assert f"tenant main (id {TENANT}) of redoubt#1" in first.stdout
    assert "10 objects skipped" in again.stdout
    assert [each["objects_skipped"] for each in (everything, older, skipped)] == [0, 0, 10]
    assert skipped["oldest_skipped"] is not None
    assert everything["oldest_skipped"] is None
    assert state_file(uri).is_file()


def test_verify_names_what_is_damaged_and_what_it_costs(archive: Path) -> None:
    """Exit status 2; windows with and without the damage; a stranger is a note."""
    segment, groups = last_segment(archive), real_groups()
    segment.write_bytes(b"rubbish")
    (archive / "stranger").write_text("")
    (archive / CLUSTER.piece(TENANT, FIRST).manifest).unlink()
    next((archive / CLUSTER.clog(TENANT)).parent.glob("data/*set_1*/single*")).write_text("{")
    shown, found = run("verify", f"file://{archive}"), answer("verify", f"file://{archive}")
    damage = {entry["object"]: entry for entry in found["damage"]}
    name = str(segment.relative_to(archive))

    assert shown.exit_code == 2
    assert f"DAMAGED {name}" in shown.stdout
    assert "DAMAGED: " in shown.stdout.splitlines()[-1]
    assert "cost unknown: the content of this object is lost" in shown.stdout
    assert (found["sound"], damage[name]["tenant_id"]) == (False, TENANT)
    assert found["notes"] == [{"object": "stranger", "note": "unrecognized object"}]
    assert [window["to_scn"] for window in found["tenants"][0]["windows"]] == [groups[6].end.scn]


def test_verify_shows_the_windows_that_damage_costs(archive: Path) -> None:
    """With the moments that are lost; one thing wrong is one thing."""
    last_segment(archive).write_bytes(b"rubbish")
    shown = run("verify", f"file://{archive}").stdout

    assert "costs the moments from " in shown
    assert "  without the damage: " in shown
    assert shown.endswith("DAMAGED: 1 problem\n")


def test_verify_says_why_it_cannot_be_done(archive: Path, tmp_path: Path) -> None:
    """Nothing there, no such tenant, no such kind of destination, no duration: status 1."""
    (tmp_path / "empty").mkdir()
    empty, nobody = run("verify", f"file://{tmp_path}/empty"), run("verify", f"file://{archive}", "--tenant", "nobody")
    odd, late = run("verify", "s3://b"), run("verify", f"file://{archive}", "--older-than", "soon")
    as_json = answer("verify", "s3://b")

    assert "no cluster has archived there" in empty.stderr
    assert "no tenant 'nobody' has a backup there" in nobody.stderr
    assert "'soon' is not a duration" in late.stderr
    assert [each.exit_code for each in (empty, nobody, odd, late)] == [1, 1, 1, 1]
    assert as_json["sound"] is None


def test_a_record_that_cannot_be_kept_is_no_failure(archive: Path, tmp_path: Path) -> None:
    """It is said, and verifying has been done."""
    (tmp_path / "file").write_text("")
    shown = run("verify", f"file://{archive}", "--state", tmp_path / "file" / "state")

    assert shown.exit_code == 0
    assert "cannot be saved" in shown.stderr


def test_window_shows_windows_and_holes_with_their_causes(archive: Path) -> None:
    """Bases, the hole, the log that no base leads to, and whether log is being archived."""
    groups = real_groups()
    shown, found = run("window", f"file://{archive}"), answer("window", f"file://{archive}", "--tenant", "main")
    (tenant,) = found["tenants"]

    assert shown.exit_code == 0
    assert "hole                the spool is full" in shown.stdout
    assert "log is being archived" in shown.stdout
    assert [(each["from_scn"], each["bases"]) for each in tenant["windows"]] == [
        (groups[2].end.scn, [1]),
        (groups[5].end.scn, [2]),
    ]
    assert tenant["holes"][0]["causes"][0] == "the spool is full"
    assert tenant["is_archived"]
    assert tenant["log_without_base"][0]["from_scn"] == groups[1].start.scn
    assert found["asserted"] is None


def test_window_asserts_that_the_last_days_are_one(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status 2, and what is missing, unless they are."""
    groups = real_groups()
    monkeypatch.setattr(time, "time_ns", lambda: groups[6].end.scn + 1_000_000)
    uri = f"file://{archive}"
    short, long = run("window", uri, "--assert", "0s"), run("window", uri, "--assert", "7d")
    late = run("window", uri, "--assert", "0s", "--lag", "0s")

    assert (short.exit_code, long.exit_code, late.exit_code) == (0, 2, 2)
    assert "the last 0s up to the end of the archived log are one window" in short.stdout
    assert "MISSING             a hole of" in long.stdout
    assert "the archive is behind" in late.stdout


def test_window_of_what_cannot_be_restored(archive: Path) -> None:
    """Without a base there is no window; damage is said."""
    for path in (archive / f"{CLUSTER}/{TENANT}/data").rglob("single_backup_set_info"):
        path.unlink()
    (archive / CLUSTER.piece(TENANT, FIRST).info).write_text("{")
    shown = run("window", f"file://{archive}", "--assert", "1d")

    assert shown.exit_code == 2
    assert "nothing can be restored" in shown.stdout
    assert "DAMAGED" in shown.stdout


def test_window_says_why_it_cannot_be_shown(archive: Path, tmp_path: Path) -> None:
    """Status 1."""
    (tmp_path / "empty").mkdir()
    empty, nobody = run("window", f"file://{tmp_path}/empty"), run("window", f"file://{archive}", "--tenant", "nobody")

    assert "no cluster has a backup there" in empty.stderr
    assert "no tenant 'nobody' has a backup there" in nobody.stderr
    assert (empty.exit_code, nobody.exit_code) == (1, 1)
    assert answer("window", "s3://b")["tenants"] is None


def test_repair_catalog_refuses_what_is_not_its_own(archive: Path, tmp_path: Path) -> None:
    """Another cluster's destination, an empty one, none that can be told, a home that is none."""
    home, empty = tmp_path / "home", tmp_path / "empty"
    for folder in (home, empty):
        folder.mkdir()
    no_home = run("repair-catalog", f"file://{archive}", "--home", home)
    (home / "identity").write_text("another\n")
    foreign = run("repair-catalog", f"file://{archive}", "--home", home)
    nothing = run("repair-catalog", f"file://{empty}", "--home", home)
    (archive / CLUSTER.info).write_text("{")
    damaged = run("repair-catalog", f"file://{archive}", "--home", home)
    (archive / CLUSTER.info).unlink()
    unsaid = run("repair-catalog", f"file://{archive}", "--home", home)
    odd = run("repair-catalog", "s3://b", "--home", home)

    assert "is not the home of a cluster" in no_home.stderr
    assert "redoubt#1 (another cluster)" in foreign.stderr
    assert "the destination holds no archive" in nothing.stderr
    assert "run redoubt verify" in damaged.stderr
    assert "redoubt#1 (identity unknown: redoubt/1/incarnation_1/cluster_clog_backup_info is missing)" in unsaid.stderr
    assert {each.exit_code for each in (no_home, foreign, nothing, damaged, unsaid, odd)} == {1}


def test_repair_catalog_waits_for_an_engine_that_does_not_write_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has just started refuses transactions for some seconds; after a minute that is an error."""
    refusals = [CatalogError("4383: transaction id is not ready")] * 3

    def work() -> str:
        if refusals:
            raise refusals.pop()
        return "done"

    monkeypatch.setattr(repair_catalog, "_PAUSE", 0)
    assert repair_catalog._as_soon_as_possible(work) == "done"
    monkeypatch.setattr(repair_catalog, "_PATIENCE", -1)
    refusals.append(CatalogError("4383: transaction id is not ready"))
    with pytest.raises(CatalogError, match="4383"):
        repair_catalog._as_soon_as_possible(work)
