"""What must hold of a destination at every moment, judged from its raw bytes by docs/FORMAT.md alone.

Nothing of the product is used here but, for a share of the checks, PieceStore: what it reads must be the same.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .engine import History
from .medium import ROOT, Contents
from .promises import Key, Promises
from .segments import NAME, TAKEOVER, Segment, ViolationError, decode, joined, without_void
from .service import TENANT

CLOG = f"{ROOT}/c/1/incarnation_1/{TENANT}/clog"
_FOLDER = re.compile(r"([0-9]+)(?:_([0-9]+)_([0-9]{8}))?")


@dataclass
class SimulatedPiece:
    """A piece as found."""

    key: Key
    folder: str
    start: int
    log: bytes
    end_scn: int
    chain: int | None
    """The log's checksum where it ends."""
    chain_before: int | None
    """The log's checksum where its first segment begins."""
    objects: dict[str, bytes]
    """The objects that hold it, without those that a merged one covers."""
    records: dict[str, dict[str, Any]]

    @property
    def end(self) -> int:
        """LSN at which it ends."""
        return self.start + len(self.log)


@dataclass
class Round:
    """A round as found: its claimed pieces, each of which continues the one before."""

    pieces: list[SimulatedPiece]
    log: bytes
    history: History

    @property
    def start(self) -> int:
        """LSN at which it begins."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """LSN at which it ends."""
        return self.pieces[-1].end


class Checker:
    """Judges the disks of one schedule; what it has decoded it remembers."""

    def __init__(self, promises: Promises, counts: Counter[str], *, may_be_late: bool) -> None:
        self._promises = promises
        self._may_be_late = may_be_late
        self.counts = counts
        self._decoded: dict[tuple[str, bytes], Segment] = {}

    def check(self, disk: Contents, histories: list[History]) -> dict[int, Round]:
        """The rounds of a disk, all found to be right. Raises ViolationError."""
        pieces: dict[int, list[SimulatedPiece]] = {}
        for piece in self._pieces(disk):
            pieces.setdefault(piece.key[0], []).append(piece)
        rounds = {number: self._round(number, of_round, histories) for number, of_round in pieces.items()}
        for number, lsn in self._promises.durable.items():
            end = rounds[number].end if number in rounds else 0
            if end < lsn:
                raise ViolationError(f"round {number} was reported durable up to {lsn}, and ends at {end}")
        for number, found in rounds.items():
            if number in self._promises.disputed:
                continue
            self._check_interruption(number, found)
            for piece in found.pieces:
                self._check_manifest(piece)
            self._check_hole(number, found, rounds.get(number - 1))
        return rounds

    def _pieces(self, disk: Contents) -> list[SimulatedPiece]:
        """The claimed pieces in order. Only what was ordered is there, and under the name that was ordered."""
        found = []
        for name in disk.folders(CLOG):
            match = _FOLDER.fullmatch(name)
            if match is None:
                raise ViolationError(f"what is the folder {name}?")
            key = (int(match[1]), int(match[2] or 0))
            ordered = self._promises.pieces.get(key)
            if ordered is None or (key[1] and ordered != int(match[3])):
                raise ViolationError(f"the folder {name} belongs to no piece that was ordered")
            piece = self._piece(key, name, disk.files(f"{CLOG}/{name}"))
            if piece is not None:
                found.append(piece)
        return sorted(found, key=lambda each: each.key)

    def _piece(self, key: Key, folder: str, files: dict[str, bytes]) -> SimulatedPiece | None:
        """One piece, from the files in its folder; None if it has not been claimed yet."""
        segments = [self._segment(name, data, key) for name, data in files.items() if NAME.fullmatch(name)]
        takeovers = [(int(match[1]), int(match[2])) for name in files if (match := TAKEOVER.fullmatch(name))]
        records = {
            name: _record(name, data)
            for name, data in files.items()
            if not name.startswith(".") and not NAME.fullmatch(name) and not TAKEOVER.fullmatch(name)
        }
        if "round_info" not in records:
            if segments:
                raise ViolationError(f"{folder} has segments and no round_info")
            return None
        info = records["round_info"]
        if (info["round"], info["piece"]) != key:
            raise ViolationError(f"{folder} is claimed for {info}")
        start, chain = info["start_lsn"], info["start_chain"]
        reported = self._promises.starts.get(key, start)
        if reported != start:
            raise ViolationError(f"{folder} was reported to begin at {reported}, and begins at {start}")
        log, objects = joined(folder, start, chain, without_void(segments, takeovers))
        scn, before = info["start_scn"] if chain is not None else 0, chain
        if objects:
            before = objects[0].header["chain_before"]
            scn, chain = objects[-1].header["max_scn"], objects[-1].header["chain_after"]
        present = {each.name: files[each.name] for each in objects}
        return SimulatedPiece(key, folder, start, log, scn, chain, before, present, records)

    def _round(self, number: int, pieces: list[SimulatedPiece], histories: list[History]) -> Round:
        """The pieces of a round that have been claimed, joined: none is missing, and together they are one log."""
        ordered = [piece for of_round, piece in self._promises.pieces if of_round == number]
        claimed = [piece.key[1] for piece in pieces]
        if claimed != ordered[: len(claimed)]:
            raise ViolationError(f"round {number} was to have the pieces {ordered}, and {claimed} are there")
        is_disputed = number in self._promises.disputed
        for piece in pieces:
            if not is_disputed:
                self._check_cut(piece)
        for before, piece in pairwise(pieces):
            if not is_disputed:
                self._check_seam(before, piece)
        start, log = pieces[0].start, b"".join(piece.log for piece in pieces)
        parts = [(piece.start, piece.log) for piece in pieces] if is_disputed else [(start, log)]
        history = next((each for each in histories if all(each.holds(*part) for part in parts)), None)
        if history is None:
            raise ViolationError(f"round {number}: what it holds from {start} on is no log that the engine ever had")
        return Round(pieces, log, history)

    def _check_cut(self, piece: SimulatedPiece) -> None:
        """A piece that was cut ends where that was said, and no piece goes further than it may."""
        promises, key = self._promises, piece.key
        if piece.log and piece.end > promises.reach.get(key, 0):
            raise ViolationError(
                f"{piece.folder} ends at {piece.end}, and was to be cut at {promises.reach.get(key)} at the latest"
            )
        end, cut = (piece.end, piece.end_scn), promises.cuts.get(key)
        if cut is None:
            return
        if cut != end:
            raise ViolationError(f"{piece.folder} was said to be cut at {cut}, and ends at {end}")
        if cut[1] < promises.switches[key]:
            raise ViolationError(f"{piece.folder} was cut at {cut}, before the switch at {promises.switches[key]}")

    def _check_seam(self, before: SimulatedPiece, piece: SimulatedPiece) -> None:
        """A piece begins where the one before it ends, which is not before the switch."""
        switch_scn, info = self._promises.switches[before.key], piece.records["round_info"]
        if before.end_scn < switch_scn:
            raise ViolationError(f"{piece.folder} follows one that ends at {before.end_scn}, before {switch_scn}")
        end = (before.end, before.end_scn, before.chain)
        start = (info["start_lsn"], info["start_scn"], info["start_chain"])
        if start != end:
            raise ViolationError(f"{piece.folder} begins at {start}, and the one before it ends at {end}")
        if "hole_info" in piece.records:
            raise ViolationError(f"{piece.folder} has a hole on record, and continues {before.folder}")

    def _check_interruption(self, number: int, found: Round) -> None:
        """What broke a round is on record, with the place at which it ends, in its last piece; and only then."""
        last, opened = found.pieces[-1], self._promises.opened.get(number)
        for piece in found.pieces[:-1]:
            if "interruption" in piece.records:
                raise ViolationError(f"{piece.folder} has its interruption on record, and {last.folder} follows")
        end, record = (last.end, last.end_scn), last.records.get("interruption")
        if opened is not None and (record is None or opened != (last.key[1], *end)):
            raise ViolationError(f"round {number} ends at {end}, reported was {opened}, and on record is {record}")
        if record is None or (self._may_be_late and opened is None and record["end_lsn"] < end[0]):
            return
        if (record["end_lsn"], record["end_scn"]) != end:
            raise ViolationError(f"round {number} ends at {end}, and on record is {record}")
        causes = self._promises.broken.get(number, set())
        if record["cause"] not in causes:
            raise ViolationError(f"round {number} was broken by {causes}, on record is {record}")

    def _check_manifest(self, piece: SimulatedPiece) -> None:
        """A piece that was frozen has a manifest, and one with a manifest is exactly what that says."""
        manifest = piece.records.get("single_piece_info")
        if manifest is None:
            if piece.key in self._promises.frozen:
                raise ViolationError(f"{piece.folder} was said to be frozen, and has no manifest")
            return
        listed = {each["name"]: (each["size"], each["sha256"]) for each in manifest["segments"]}
        present = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in piece.objects.items()}
        listed = _as_merged_late(listed, present)
        if listed != present or list(listed) != list(present):
            raise ViolationError(f"{piece.folder} consists of {list(present)}, and its manifest lists {list(listed)}")
        said = tuple(manifest[name] for name in ("start_lsn", "end_lsn", "end_scn", "chain_before", "chain_after"))
        found = (piece.start, piece.end, piece.end_scn, piece.chain_before, piece.chain)
        if said != found:
            raise ViolationError(f"{piece.folder} is {found}, and its manifest says {said}")
        if manifest["broken_by"] != piece.records.get("interruption", {"cause": ""})["cause"]:
            raise ViolationError(f"{piece.folder}: its manifest says that {manifest['broken_by']!r} broke it")

    def _check_hole(self, number: int, found: Round, before: Round | None) -> None:
        """What is missing between two rounds is on record, as far as that was said; and nothing else is."""
        record, reported = found.pieces[0].records.get("hole_info"), self._promises.closed.get(number)
        if record is None and reported is None:
            if before is not None and found.log and found.pieces[0].key in self._promises.frozen:
                raise ViolationError(f"round {number} was stopped, and nobody has said what is missing before it")
            return
        if before is None:
            if record is not None:
                raise ViolationError(f"round {number} has a hole on record after a round that never was: {record}")
            return
        if self._may_be_late and not before.log and record is None:
            return  # nobody could know of the round before when this one began
        start = before.end  # by LSN: where a log went on differently cannot be seen in the archive
        is_missing = found.start > start
        if reported is not None and (reported[2] > reported[1]) != is_missing:
            raise ViolationError(f"the hole before round {number} is {start} to {found.start}, reported was {reported}")
        if (record is not None) != is_missing:
            raise ViolationError(f"the hole before round {number} is {start} to {found.start}, on record is {record}")
        if record is not None and (record["after"], record["start_lsn"], record["end_lsn"]) != (
            number - 1,
            start,
            found.start,
        ):
            raise ViolationError(f"the hole before round {number} is {start} to {found.start}, on record is {record}")

    def _segment(self, name: str, data: bytes, of: Key) -> Segment:
        key = (name, data)
        if key not in self._decoded:
            self._decoded[key] = decode(name, data)
            self.counts["merged object" if self._decoded[key].is_merged else "segment"] += 1
        segment = self._decoded[key]
        if (segment.header["round"], segment.header["piece"]) != of:
            raise ViolationError(f"{name} in piece {of} says otherwise: {segment.header}")
        return segment


def _as_merged_late(listed: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
    """What a manifest lists, with a former writer's merged objects in place of its segments.

    That writer was paused in the midst of a merge, and another one has written the manifest meanwhile.
    """
    for name in present.keys() - listed.keys():
        match = NAME.fullmatch(name)
        assert match is not None
        if match[3] and match[4]:
            inside = [each for each in listed if match[1] <= each[:20] and each[21:41] <= match[2]]
            if {match[1], match[2]} <= {lsn for each in inside for lsn in (each[:20], each[21:41])}:
                rest = {each: value for each, value in listed.items() if each not in inside}
                listed = dict(sorted((rest | {name: present[name]}).items()))
    return listed


def _record(name: str, data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data)
    except ValueError as error:
        raise ViolationError(f"{name} is damaged: {data[:100]!r}") from error
    assert isinstance(record, dict)
    return record
