"""Commands on a destination into which somebody wrote who means harm.

Each command ends with a status and messages of its own, whatever an object says. Nothing it prints is a terminal's
command, and nothing is written outside the directory that the user named.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import google_crc32c
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from redoubt.archive.bounded import LARGEST_MANIFEST
from redoubt.archive.framing import head_first
from redoubt.archive.record import dump_record, seal
from redoubt.archive.segment import SegmentName, decode_stored
from redoubt.cli.main import app
from redoubt.cli.printing import console
from tests.archive.hostile import ESCAPE, VALUES, Place, places_in, with_value
from tests.restore import small as restorable
from tests.verify import small as verifiable

MOST_SECONDS = 20.0
"""For one command on a small archive; a loaded machine needs about one."""
OBJECTS = restorable.ordinary().destination.objects
EVERYTHING = verifiable.SmallArchive().destination.objects
ARCHIVES = {"restorable": OBJECTS, "everything": EVERYTHING}
CHANGES = [
    (which, name, at) for which, objects in ARCHIVES.items() for name in objects for at in places_in(objects[name])
]
READERS: tuple[tuple[str, ...], ...] = (
    ("verify", "--all", "--jobs", "1"),
    ("verify", "--all", "--jobs", "1", "--json"),
    ("window",),
    ("window", "--assert", "7d", "--json"),
    ("restore", "--latest", "--tenant", "1001", "--dry-run", "--to", "TO"),
    ("restore", "--scn", "700", "--tenant", "1001", "--no-start", "--to", "TO"),
    ("restore", "--latest", "--tenant", "main", "--no-start", "--json", "--to", "TO"),
    ("follow", "--once", "--to", "TO"),
)
"""Every command that reads a destination without an engine. Drill and roll-forward begin as restore does."""


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of one's own for verify."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that each use of it makes anew."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Path(folder)


def stored(objects: dict[str, bytes], root: Path) -> str:
    """The objects as a destination; how a user names it."""
    for name, data in objects.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return f"file://{root}"


def run(command: tuple[str, ...], uri: str, to: Path) -> Result:
    """The command, checked: it ends in time, in order, and prints only what is printable."""
    arguments = [str(to) if each == "TO" else each for each in command]
    began = time.monotonic()
    done = CliRunner().invoke(app, [arguments[0], uri, *arguments[1:]])
    assert time.monotonic() - began < MOST_SECONDS
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code in {0, 1, 2}
    assert done.exit_code == 0 or done.output
    for each in done.output:
        assert each == "\n" or unicodedata.category(each)[0] != "C", repr(done.output)
    return done


def names_under(root: Path) -> set[str]:
    """Everything in a directory."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}


@given(st.sampled_from(CHANGES), st.sampled_from(VALUES), st.sampled_from(READERS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_command_ends_in_order_whatever_a_field_says(
    change: tuple[str, str, Place], value: object, command: tuple[str, ...]
) -> None:
    """Any value in any field of any object; a restore writes only into its directory."""
    which, name, at = change
    objects = ARCHIVES[which]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        root = Path(folder)
        uri = stored(objects | {name: with_value(objects[name], at, value)}, root / "backup")
        before = names_under(root / "backup")
        run(command, uri, root / "to")

        assert {path.name for path in root.iterdir()} <= {"backup", "to"}
        assert {each for each in names_under(root / "backup") if "/." not in each} == before
        written = {path.name for path in (root / "to").iterdir()} if (root / "to").exists() else set()
        assert written <= {"etc", "store", "redoubt", "run"}
        assert names_under(root / "to" / "run") <= {"seekdb.clients"}
        assert names_under(root / "to" / "redoubt") <= {"restoring", "restored_from", "following"}


def manifest_of(objects: dict[str, bytes]) -> str:
    """The name of the first set's manifest."""
    return next(name for name in objects if name.endswith("backup_set_1_full_20261123/single_backup_set_info"))


@pytest.mark.parametrize("path", ["../x", "/tmp/x", "redoubt/account", "redoubt/parameters_before", "run/seekdb.pid"])
def test_a_manifest_that_names_what_no_base_holds_is_not_restored(place: Path, path: str) -> None:
    """The set is damaged, and nothing is written."""
    name = manifest_of(OBJECTS)
    uri = stored(OBJECTS | {name: with_value(OBJECTS[name], ("files", 0, "path"), path)}, place / "backup")
    restored = run(READERS[6], uri, place / "to")
    verified = run(READERS[0], uri, place / "to")

    assert (restored.exit_code, verified.exit_code) == (1, 2)
    assert "no data backup" in restored.output
    assert f"'{path}', which is not inside etc or store" in verified.output
    assert not (place / "to").exists()


def test_a_file_that_anybody_may_write_is_restored_for_its_owner(place: Path) -> None:
    """The manifest's permissions are taken, but for those of others to write."""
    name = manifest_of(OBJECTS)
    uri = stored(OBJECTS | {name: with_value(OBJECTS[name], ("files", 0, "mode"), 0o777)}, place / "backup")
    assert run(READERS[5], uri, place / "to").exit_code == 0

    assert (place / "to/etc/seekdb.conf").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("base", ["round_info", "single_backup_set_info", "single_piece_info", "part_00000002.zst"])
@pytest.mark.parametrize("kind", ["zeros", "bomb", "pipe", "link", "brackets"])
def test_a_command_ends_in_order_whatever_lies_there(
    place: Path, kind: str, base: str, command: tuple[str, ...]
) -> None:
    """A gigabyte of zeros, the same compressed, a pipe that nobody writes, a link, JSON that nests too deeply."""
    name = next(each for each in OBJECTS if each.endswith(base))
    uri = stored(OBJECTS, place / "backup")
    path = place / "backup" / name
    path.unlink()
    if kind == "zeros":
        with path.open("wb") as file:
            file.truncate(1 << 30)
    elif kind == "bomb":
        path.write_bytes(_BOMB)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.write_bytes(b"[" * 1_000_000)
    run(command, uri, place / "to")


_BOMB = zstandard.compress(bytes(1 << 28))


def _segments(objects: dict[str, bytes]) -> list[str]:
    return [name for name in objects if SegmentName.parse(name.rpartition("/")[2])]


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("size", [-48, -1, 0, 2**31 - 1])
@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_group_of_an_impossible_size_stops_no_command(
    place: Path, size: int, which: int, command: tuple[str, ...]
) -> None:
    """In a segment whose header is right: who can write there can make that, too."""
    name = _segments(OBJECTS)[which]
    parsed = SegmentName.parse(name.rpartition("/")[2])
    assert parsed is not None
    header, frame = decode_stored(parsed, OBJECTS[name])
    log = bytearray(zstandard.decompress(frame))
    log[4:8] = size.to_bytes(4, "big", signed=True)
    frame = zstandard.ZstdCompressor(write_checksum=True).compress(bytes(log))
    header = replace(header, log_crc=google_crc32c.value(bytes(log)), stored_crc=google_crc32c.value(frame))
    uri = stored(OBJECTS | {name: head_first(dump_record(header), frame)}, place / "backup")
    run(command, uri, place / "to")


def test_escape_sequences_are_shown_as_text(place: Path) -> None:
    """In a cause, in the names of strange objects and folders, and in a tenant's name."""
    shown = r"\x1b[2J\x1b]0;title\x07sound"
    ended = {name: data for name, data in EVERYTHING.items() if "/3_3_" not in name}
    cause = next(name for name in ended if name.endswith("interruption"))
    claim = next(name for name in EVERYTHING if name.endswith("3_3_20260921/round_info"))
    strange = {f"{ESCAPE}/1/incarnation_1/x": b"", f"redoubt/1/incarnation_1/1001/{ESCAPE}": b""}
    broken = {cause: with_value(EVERYTHING[cause], ("cause",), f"{ESCAPE}\nsound")}
    named = {claim: with_value(EVERYTHING[claim], ("tenant",), ESCAPE)}
    uri = stored(ended | strange | broken, place / "backup")
    other = stored(EVERYTHING | strange | named, place / "other")
    noted, windows = (run(command, uri, place / "to").output for command in (READERS[0], READERS[2]))
    damaged, lost = (run(command, other, place / "to").output for command in (READERS[0], READERS[2]))

    assert f"note: {shown}: unrecognized folder" in noted
    assert f"note: redoubt/1/incarnation_1/1001/{shown}: unrecognized object" in noted
    assert rf"log is not being archived: {shown}\nsound" in windows
    assert f"'tenant' is '{shown}'" in damaged
    assert f"'tenant' is '{shown}'" in lost


def test_the_console_prints_no_foreign_escape_sequence(capsys: pytest.CaptureFixture[str]) -> None:
    """What a catalog or a database says."""
    console().print(f"a\t{ESCAPE}", "[red]b[/red]")

    assert capsys.readouterr().out == "a       \\x1b[2J\\x1b]0;title\\x07sound [red]b[/red]\n"


def _sets(count: int) -> list[dict[str, object]]:
    return [{"number": number, "size": 1, "sha256": "0" * 64} for number in range(1, count + 1)]


@pytest.mark.parametrize(
    "make",
    [
        lambda values: values | {"parts": _sets(3_000)},
        lambda values: values | {"files": [values["files"][0] | {"extents": [[n, 1, 1, 0] for n in range(20_000)]}]},
        lambda values: values | {"files": [[]] * 3_000_000},
    ],
)
def test_a_manifest_of_very_many_entries_takes_bounded_time(place: Path, make: Callable[..., object]) -> None:
    """Whatever it lists; what is larger than the largest manifest is not read at all."""
    name = manifest_of(OBJECTS)
    values = json.loads(OBJECTS[name])
    del values["crc"]
    text = seal(json.dumps(make(values)).encode())
    assert len(text) < LARGEST_MANIFEST
    uri = stored(OBJECTS | {name: text}, place / "backup")

    for command in READERS[:5]:
        run(command, uri, place / "to")
