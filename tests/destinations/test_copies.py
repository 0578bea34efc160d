"""Copies between a directory and a real S3 server, in both directions; and repair of either from the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from redoubt.archive.copying import CopyError, FolderCopy, check_apart
from redoubt.archive.layout import PiecePath
from redoubt.archive.set_layout import folder_of
from redoubt.destinations.file import FileDestination
from redoubt.destinations.uri import open_destination
from redoubt.model.seams import Destination, ObjectExistsError
from redoubt.verify.checking import Checker
from redoubt.verify.findings import Report
from redoubt.verify.repairing import repair
from redoubt.verify.verified_objects import VerifiedObjects
from redoubt.verify.verifying import Verifier
from tests.verify.small import CLUSTER, SmallArchive


def _fill(destination: Destination, objects: dict[str, bytes]) -> None:
    for name, data in objects.items():
        destination.put_if_absent(name, data)


def _copy(source: Destination, target: Destination, objects: dict[str, bytes]) -> None:
    """Copy what is complete."""
    target.put_if_absent(CLUSTER.info, objects[CLUSTER.info])
    for name in sorted({name.rpartition("/")[0] for name in objects}):
        folder = folder_of(name)
        if folder and folder.manifest in objects and folder.deletion not in objects:
            FolderCopy(source, target, folder).run("a test")


def _verify(destination: Destination) -> Report:
    checker = Checker(destination, VerifiedObjects(), 1)
    try:
        return Verifier(checker).run()
    finally:
        checker.close()


@pytest.mark.parametrize("is_to_store", [True, False], ids=["to a bucket", "from a bucket"])
def test_a_copy_is_as_good_as_the_original(bucket_uri: str, tmp_path: Path, *, is_to_store: bool) -> None:
    """It is sound, it mends the original, and it is not mended from itself."""
    first, second = FileDestination(tmp_path), open_destination(bucket_uri)
    source, target = (first, second) if is_to_store else (second, first)
    objects = SmallArchive().destination.objects
    _fill(source, objects)
    _copy(source, target, objects)
    assert _verify(target).is_sound

    rotten = next(name for name in objects if name.endswith(".zst") and isinstance(folder_of(name), PiecePath))
    lost = next(name for name in objects if name.endswith("part_00000001.zst"))
    for name in (rotten, lost):
        source.delete(name)
    source.put_if_absent(rotten, b"rotten")
    done = list(repair(source, target, _verify(source), "a test"))
    assert [(each.stored, each.problem) for each in done] == [(1, ""), (1, "")]
    assert _verify(source).is_sound
    with pytest.raises(ObjectExistsError):
        source.put_if_absent(lost, b"")


def test_one_bucket_under_two_names(bucket_uri: str) -> None:
    """Another name of the host, and what differs in nothing."""
    other = open_destination(bucket_uri.replace("127.0.0.1", "localhost"))
    with pytest.raises(CopyError, match="the same place under two names"):
        check_apart(open_destination(bucket_uri), other)
