"""Joins a piece's segments to its log; finds segments that are damaged, missing, double or of another piece. Pure.

Sound segments are joined first. A gap between them is the fault of the damaged segment that should fill the gap;
without one, the log is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from redoubt.archive.layout import ClusterPath, PieceInfo
from redoubt.archive.segment import SegmentHeader, SegmentName
from redoubt.model.damage import Loss
from redoubt.model.log import LogPosition
from redoubt.model.pieces import PieceKey
from redoubt.model.recovery import LogRun
from redoubt.verify.checking import Checked
from redoubt.verify.findings import Finding

_LARGEST = 64 * 1024 * 1024
"""The most bytes of log in one object: a damaged name may state any range."""
_MOST_PAIRS = 10_000_000
"""The most pairs of a gap and an object that may fill the gap which are compared: some seconds of work."""
_EVERYTHING = 2**63 - 1


@dataclass(frozen=True)
class PieceLog:
    """The log of a piece: a link for each segment and each gap, the findings, the sound segments, and the end.

    `end` is the end of the present log, None if there is no log or if the last segment is damaged.
    """

    links: tuple[LogRun, ...] = ()
    findings: tuple[Finding, ...] = ()
    held: tuple[SegmentName, ...] = ()
    first: SegmentHeader | None = None
    end: LogPosition | None = None


@dataclass(frozen=True)
class PieceOf:
    """The piece to which the segments must belong; `info` is its claim, None if unreadable.

    `end_lsn` and `end_scn` come from the manifest. `expected` are missing segments that are known to have existed.
    """

    cluster: ClusterPath
    tenant_id: int
    key: PieceKey
    folder: str
    info: PieceInfo | None
    end_lsn: int | None = None
    end_scn: int = 0
    expected: tuple[SegmentName, ...] = ()


def put_together(of: PieceOf, segments: dict[SegmentName, Checked]) -> PieceLog:
    """Join segments to the log of a piece."""
    problems = {name: problem for name, checked in segments.items() if (problem := _problem(of, checked))}
    headers = {name: header for name, each in segments.items() if name not in problems and (header := each.header)}
    held, doubles = _held_and_doubles(list(headers))
    broken = _breaks(of, held, headers)
    gaps = list(_gaps(of, held, [name for name in problems if name.end_lsn - name.start_lsn <= _LARGEST]))
    if len(gaps) * (len(problems) + len(of.expected)) > _MOST_PAIRS:
        text = (
            f"{len(problems)} objects are damaged, and {len(gaps)} ranges of the log are missing: too many to name them"
        )
        everything = Finding(of.folder, text, (Loss(None, of.key, 0, _EVERYTHING),))
        return PieceLog(tuple(_links(of, held, headers, gaps)), (everything,), tuple(held))
    findings = [_finding(of, name, problem, gaps) for name, problem in problems.items()]
    findings += [_finding(of, name, problem, []) for name, problem in doubles.items()]
    findings += [_broken(of, name, problem) for name, problem in broken.items()]
    findings += [
        each for gap in gaps if not any(_overlap(name, gap) for name in problems) for each in _missing(of, gap)
    ]
    links = _links(of, held, headers, gaps)
    last = headers[held[-1]].end if held and not (gaps and gaps[-1][0] >= held[-1].end_lsn) else None
    return PieceLog(tuple(links), tuple(findings), tuple(held), headers[held[0]] if held else None, last)


def _problem(of: PieceOf, checked: Checked) -> str:
    """The problem of a segment by itself, or of its place; empty without one."""
    header = checked.header
    if checked.problem or header is None:
        return checked.problem or "the segment has no header"
    said = header.of
    theirs = (said.cluster, said.cluster_id, said.tenant_id, said.round, said.piece)
    if theirs != (of.cluster.cluster, of.cluster.cluster_id, of.tenant_id, of.key.round, of.key.piece):
        return (
            f"wrong folder: the segment belongs to piece {said.piece} of round {said.round} of tenant "
            f"{said.tenant_id} of {said.cluster}#{said.cluster_id}"
        )
    if of.info is not None and said.source != of.info.source:
        return f"wrong folder: the segment holds log of engine {said.source}, the piece of {of.info.source}"
    return ""


def _held_and_doubles(names: list[SegmentName]) -> tuple[list[SegmentName], dict[SegmentName, str]]:
    """The segments that hold the log, in order; and overlapping ones. Skips segments that a merged one covers."""
    held: list[SegmentName] = []
    doubles: dict[SegmentName, str] = {}
    for name in sorted(names, key=lambda name: (name.start_lsn, -name.end_lsn, not name.is_merged)):
        last = held[-1] if held else None
        if last is None or name.start_lsn >= last.end_lsn:
            held.append(name)
        elif not (last.is_merged and name.end_lsn <= last.end_lsn):
            doubles[name] = f"its log overlaps {last}; a restore uses neither until you remove one"
    return held, doubles


def _breaks(of: PieceOf, held: list[SegmentName], headers: dict[SegmentName, SegmentHeader]) -> dict[SegmentName, str]:
    """Segments that do not continue the log before them."""
    broken = {}
    before = of.info.start if of.info is not None else None
    for number, name in enumerate(held):
        header = headers[name]
        if before is not None and name.start_lsn == before.lsn:
            may_be_unknown = number == 0 and before.chain is None
            if header.chain_before != before.chain and not may_be_unknown:
                broken[name] = "its starting checksum does not match the log before it"
            elif header.min_scn <= before.scn:
                broken[name] = f"its first SCN, {header.min_scn}, is not after {before.scn}, the last SCN before it"
        elif before is not None and name.start_lsn < before.lsn:
            broken[name] = f"it begins before the start of the piece, LSN {before.lsn}"
        before = header.end
    return broken


def _gaps(of: PieceOf, held: list[SegmentName], bad: list[SegmentName]) -> Iterator[tuple[int, int]]:
    """The ranges of LSNs that the piece should hold, but no sound segment holds."""
    starts = [name.start_lsn for name in (*held, *bad)]
    at = of.info.start_lsn if of.info is not None else min(starts, default=0)
    for name in held:
        if name.start_lsn > at:
            yield at, name.start_lsn
        at = name.end_lsn
    end = max([at, *(name.end_lsn for name in bad)]) if of.end_lsn is None else of.end_lsn
    if end > at:
        yield at, end


def _links(
    of: PieceOf, held: list[SegmentName], headers: dict[SegmentName, SegmentHeader], gaps: list[tuple[int, int]]
) -> list[LogRun]:
    """The log as it would be without gaps; an unknown SCN at the end of a gap is taken as the least possible one."""
    source = of.info.source if of.info is not None else next((each.of.source for each in headers.values()), "")
    scn = of.info.start_scn if of.info is not None else 0
    ranges = sorted([(name.start_lsn, name.end_lsn, headers[name]) for name in held] + [(*gap, None) for gap in gaps])
    links = []
    for number, (start, end, header) in enumerate(ranges):
        follows = ranges[number + 1][2] if number + 1 < len(ranges) else None
        reached = header.max_scn if header else follows.min_scn - 1 if follows else max(of.end_scn, scn)
        links.append(LogRun(of.key, source, start, end, scn, max(scn, reached)))
        scn = max(scn, reached)
    return links


def _finding(of: PieceOf, name: SegmentName, problem: str, gaps: list[tuple[int, int]]) -> Finding:
    """The finding of a damaged object; its losses are the gaps that the object should fill."""
    lost = tuple(
        Loss(of_piece=of.key, start_lsn=start, end_lsn=end) for start, end in gaps if _overlap(name, (start, end))
    )
    return Finding(f"{of.folder}/{name}", problem, lost)


def _broken(of: PieceOf, name: SegmentName, problem: str) -> Finding:
    return Finding(f"{of.folder}/{name}", problem, (Loss(None, of.key, name.start_lsn, name.end_lsn),))


def _missing(of: PieceOf, gap: tuple[int, int]) -> Iterator[Finding]:
    """The missing objects that would fill a gap; the folder, if their names are unknown."""
    loss = Loss(None, of.key, *gap)
    names = [name for name in of.expected if _overlap(name, gap)]
    for name in names:
        yield Finding(f"{of.folder}/{name}", "missing", (loss,))
    if not names:
        yield Finding(of.folder, f"the log from LSN {gap[0]} to {gap[1]} is missing: no object holds it", (loss,))


def _overlap(name: SegmentName, gap: tuple[int, int]) -> bool:
    return name.start_lsn < gap[1] and name.end_lsn > gap[0]


def with_end(log: PieceLog, cause: str) -> PieceLog:
    """The same log, with the reason why no log follows."""
    if not log.links:
        return log
    return replace(log, links=(*log.links[:-1], replace(log.links[-1], cause=cause)))
