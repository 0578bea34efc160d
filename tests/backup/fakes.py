"""A folder as the source of a data backup, and sets put together again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redoubt.archive.set_layout import SetIdentity, SetInfo, SetPath
from redoubt.archive.set_manifest import SetFile
from redoubt.archive.set_store import SetStore
from redoubt.model.bases import BaseFile, PauseOverError
from redoubt.model.log import LogPosition
from redoubt.model.seams import Destination

INFO = SetInfo(SetIdentity("id", "redoubt", 1, 1001, "main", "engine-a", 1, 20261101), 5)
PATH = SetPath("redoubt/1/incarnation_1/1001/data/backup_set_1_full_20261101")


def store_in(destination: Destination) -> SetStore:
    """The set of the tests."""
    return SetStore(destination, PATH)


def listing(root: Path) -> list[BaseFile]:
    """The files of a folder, with the stamps that its file system gives."""
    found = []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        is_now = path.stat()
        size = is_now.st_size
        found.append(BaseFile(str(path.relative_to(root)), size, size, 0o600, is_now.st_ctime_ns, is_now.st_ino))
    return found


def content_of(root: Path) -> dict[str, bytes]:
    """What is in the files of a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def put_together(files: Iterable[SetFile], part: Callable[[int], bytes]) -> dict[str, bytes]:
    """What is in the files of a set; `part` gives the content of a part."""
    found = {}
    for file in files:
        content = bytearray(file.size)
        for extent in file.extents:
            data = part(extent.part)[extent.part_offset : extent.part_offset + extent.length]
            assert len(data) == extent.length
            content[extent.offset : extent.offset + extent.length] = data
        found[file.path] = bytes(content)
    return found


def stored_content(store: SetStore) -> dict[str, bytes]:
    """What is in the files of a set that is complete."""
    manifest = store.manifest()
    assert manifest is not None
    parts = {part.number: store.read_part(part)[1] for part in manifest.parts}
    return put_together(manifest.files, parts.__getitem__)


@dataclass
class FolderPause:
    """The pause of a `FolderSource`."""

    patience: int
    seconds: float = 0.25

    def check(self) -> None:
        """See `Pause`: over when it has been called too often."""
        self.patience -= 1
        if self.patience < 0:
            raise PauseOverError("the pause is over")


@dataclass
class FolderSource:
    """A `BaseSource` over a folder, in which nothing is written but by the test.

    `on_listing` is called before each listing. Each pause takes as many checks as the next of `pauses` says, any number
    when none is left. Clones are made if `can_clone`.
    """

    root: Path
    on_listing: Callable[[int], None] = lambda _number: None
    pauses: list[int] = field(default_factory=list)
    can_clone: bool = False
    settling: float = 0.0
    is_standing: bool = False
    listings: int = 0
    clones: int = 0

    def source_id(self) -> str:
        """See `BaseSource`."""
        return INFO.of.source

    def version(self) -> str:
        """See `BaseSource`."""
        return "folder 1.0"

    def checkpoint(self) -> LogPosition:
        """See `BaseSource`."""
        return LogPosition(100, 1000)

    def end_of_log(self) -> LogPosition:
        """See `BaseSource`."""
        assert not self.is_standing
        return LogPosition(200, 2000)

    def files(self) -> list[BaseFile]:
        """See `BaseSource`."""
        self.listings += 1
        self.on_listing(self.listings)
        return listing(self.root)

    def files_in(self, clone: Path) -> list[BaseFile]:
        """See `BaseSource`."""
        return listing(clone)

    def open(self, file: BaseFile) -> int:
        """See `BaseSource`."""
        return os.open(self.root / file.path, os.O_RDONLY)

    @contextmanager
    def pause(self, limit: float) -> Iterator[FolderPause]:
        """See `BaseSource`."""
        self.is_standing = True
        try:
            yield FolderPause(self.pauses.pop(0) if self.pauses else 10**9)
        finally:
            self.is_standing = False

    @contextmanager
    def clone(self) -> Iterator[Path | None]:
        """See `BaseSource`."""
        self.clones += 1
        copy = self.root.with_name(f"clone-{self.clones}")
        if self.can_clone:
            shutil.copytree(self.root, copy)
        try:
            yield copy if self.can_clone else None
        finally:
            shutil.rmtree(copy, ignore_errors=True)
