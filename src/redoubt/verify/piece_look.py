"""One look at a piece's folder: reads and checks each object by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from redoubt.archive.deletion import Deletion
from redoubt.archive.encryption import WrappedKey
from redoubt.archive.folder_keys import wrapped_key_in
from redoubt.archive.layout import HoleInfo, Interruption, PieceInfo, PiecePath, Takeover, takeover_in
from redoubt.archive.listing import Listed, void_names
from redoubt.archive.manifest import Manifest, load_manifest
from redoubt.archive.record import RecordError, load_record
from redoubt.archive.segment import SegmentName
from redoubt.model.pieces import PieceKey
from redoubt.verify.checking import Checked, Checker
from redoubt.verify.verified_objects import VerifiedObject

T = TypeVar("T")


@dataclass(frozen=True)
class PieceLook:
    """The contents of a folder. `unreadable` are damaged info objects with the reason, by their names in the folder.

    `before` are the objects in the folder at the last verification. `others` are the names of takeovers and wrapped
    keys, `strangers` those of unrecognized objects. `void` are objects of former writers that do not count, see
    `listing`.
    """

    key: PieceKey
    path: PiecePath
    info: PieceInfo | None = None
    interruption: Interruption | None = None
    hole: HoleInfo | None = None
    deletion: Deletion | None = None
    manifest: Manifest | None = None
    unreadable: dict[str, str] = field(default_factory=dict)
    segments: dict[SegmentName, Checked] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    void: tuple[str, ...] = ()
    before: dict[str, VerifiedObject] = field(default_factory=dict)

    @property
    def is_deleted(self) -> bool:
        """Whether a deletion is recorded, readable or not."""
        return self.deletion is not None or self.base(self.path.deletion) in self.unreadable

    @property
    def is_empty(self) -> bool:
        """Whether the folder holds no object of Redoubt."""
        return not (self.info or self.manifest or self.deletion or self.unreadable or self.segments or self.before)

    def is_there(self, name: str) -> bool:
        """Whether the info object of that full name exists, readable or not."""
        return self.base(name) in self.unreadable or name in self._readable or name in self.others

    def base(self, name: str) -> str:
        """A full name as it is in the folder."""
        return name.removeprefix(f"{self.path.folder}/")

    @property
    def _readable(self) -> set[str]:
        path = self.path
        found = (
            (path.info, self.info),
            (path.interruption, self.interruption),
            (path.hole, self.hole),
            (path.deletion, self.deletion),
            (path.manifest, self.manifest),
        )
        return {name for name, record in found if record is not None}


def _is_late(manifest: Manifest, names: list[SegmentName], takeovers: list[tuple[int, int]]) -> bool:
    """Whether a manifest is a former writer's: a later one has continued the log, or has written it otherwise."""
    void = void_names({*names, *manifest.names}, takeovers)
    ends = (name.end_lsn for name in names if name not in void)
    return not void.isdisjoint(manifest.names) or max(ends, default=0) > manifest.piece.end_lsn


class PieceEyes:
    """Looks at one piece repeatedly; does not read sound objects twice."""

    def __init__(self, checker: Checker, key: PieceKey, path: PiecePath) -> None:
        self._checker = checker
        self._key = key
        self._path = path
        self._sound: dict[SegmentName, Checked] = {}
        self._before = checker.verified.last_seen(path.folder)

    def look(self) -> PieceLook:
        """Look at the folder now. Reads info objects first: the objects that they name were stored before them."""
        path, unreadable = self._path, dict[str, str]()
        info = self._record(path.info, lambda text: load_record(PieceInfo, text), unreadable)
        interruption = self._record(path.interruption, lambda text: load_record(Interruption, text), unreadable)
        hole = self._record(path.hole, lambda text: load_record(HoleInfo, text), unreadable)
        deletion = self._record(path.deletion, lambda text: load_record(Deletion, text), unreadable)
        manifest = self._record(path.manifest, load_manifest, unreadable)
        records = {path.info, path.interruption, path.hole, path.deletion, path.manifest}
        listed, others, strangers, takeovers = list[Listed](), list[str](), list[str](), list[tuple[int, int]]()
        for each in self._checker.destination.list(path.folder):
            name = SegmentName.parse(each.name.rpartition("/")[2])
            if name is not None:
                listed.append(Listed(name, each.size))
            elif takeover := takeover_in(each.name.rpartition("/")[2]):
                takeovers.append(takeover)
                others.append(each.name)
                self._record(each.name, lambda text: load_record(Takeover, text), unreadable)
            elif wrapped_key_in(each.name):
                others.append(each.name)
                self._record(each.name, lambda text: load_record(WrappedKey, text), unreadable)
            elif each.name not in records:
                strangers.append(each.name)
        void = void_names((each.name for each in listed), takeovers)
        late = [path.segment(name) for name in sorted(void, key=str)]
        if manifest is not None and takeovers and _is_late(manifest, [each.name for each in listed], takeovers):
            manifest, late = None, [*late, path.manifest]
        return PieceLook(
            self._key,
            path,
            info,
            interruption,
            hole,
            deletion,
            manifest,
            unreadable,
            self._segments([each for each in listed if each.name not in void]),
            tuple(others),
            tuple(strangers),
            tuple(late),
            self._before,
        )

    def settle(self, look: PieceLook) -> None:
        """Forget objects that are gone for good: merged, or deleted on purpose."""
        for base in look.before:
            name = SegmentName.parse(base)
            is_covered = name and any(
                each.start_lsn <= name.start_lsn and name.end_lsn <= each.end_lsn for each in look.segments
            )
            if name and name not in look.segments and (is_covered or look.is_deleted):
                self._checker.verified.forget(f"{self._path.folder}/{base}")

    def _record(self, name: str, load: Callable[[bytes], T], unreadable: dict[str, str]) -> T | None:
        try:
            return self._checker.info(name, load)
        except RecordError as error:
            unreadable[name.rpartition("/")[2]] = str(error)
            return None

    def _segments(self, listed: list[Listed]) -> dict[SegmentName, Checked]:
        unread = [each for each in listed if each.name not in self._sound or self._sound[each.name].size != each.size]
        found = self._checker.segments(self._path.folder, unread)
        self._sound.update((name, checked) for name, checked in found.items() if not checked.problem)
        known = {each.name: self._sound[each.name] for each in listed if each.name in self._sound}
        return known | found
