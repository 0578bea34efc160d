"""How fast `redoubt verify` is: `python -m benchmarks.verifying [MB]`.

A piece of so many MB of log, made of a real engine's groups with other row data in them, as segments of 16 MB of log
in a directory. Processor time, so that other processes count less. Beside it: decoding alone, with the checksums, which
is what cannot be saved; the rest is SHA-256 and the judgement.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import google_crc32c

from redoubt.archive.layout import ClusterInfo, ClusterPath, PieceInfo
from redoubt.archive.record import dump_record
from redoubt.archive.segment import PieceIdentity, SegmentHeader, SegmentName, decode_log, decode_stored, encode_segment
from redoubt.destinations.file import FileDestination
from redoubt.model.pieces import PieceKey
from redoubt.verify.checking import Checker
from redoubt.verify.verified_objects import VerifiedObjects
from redoubt.verify.verifying import Verifier

_SIZE = 16 * 1024 * 1024
_SUFFIXES = {"zstd_1.3.8": ".zst", "lz4_1.0": ".lz4", "none": ".redo"}
_CLUSTER = ClusterPath("redoubt", 1)


def measure(megabytes: int) -> None:
    """Measure and print, for each codec."""
    print("codec        stored MB   verify MB/s a core   decoding alone   again s")
    for codec in _SUFFIXES:
        with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as folder:
            destination, names = _archive(Path(folder), megabytes * 1024 * 1024 // _SIZE, codec)
            verified = VerifiedObjects()
            log = len(names) * _SIZE / 1e6
            whole = _seconds(lambda where=destination, known=verified: _verify(where, known))  # type: ignore[misc]
            again = _seconds(lambda where=destination, known=verified: _verify(where, VerifiedObjects.of(known)))  # type: ignore[misc]
            bare = _seconds(lambda where=destination, all_names=names: _decode(where, all_names))  # type: ignore[misc]
            stored = sum(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file()) / 1e6
            print(f"{codec:12} {stored:9.1f} {log / whole:20.0f} {log / bare:16.0f} {again:9.3f}")


def _archive(folder: Path, segments: int, codec: str) -> tuple[FileDestination, list[tuple[str, SegmentName]]]:
    destination, path = FileDestination(folder), _CLUSTER.piece(1001, PieceKey(1))
    destination.put_if_absent(_CLUSTER.info, dump_record(ClusterInfo("redoubt", 1, "f00d"), indent=2))
    claim = PieceInfo("f00d", 1001, "main", "engine", 1, 0, 0, 1)
    destination.put_if_absent(path.info, dump_record(claim, indent=2))
    names, chain = [], 0
    for number in range(segments):
        log = _log(number)
        after = google_crc32c.extend(chain, log)
        start, end, scn = number * _SIZE, (number + 1) * _SIZE, 10 * number + 10
        of = PieceIdentity("redoubt", 1, 1, 1001, 1, 0, "engine")
        header = SegmentHeader(of, start, end, scn, scn + 1, chain, after, codec)
        name = SegmentName(start, end, _SUFFIXES[codec])
        destination.put_if_absent(path.segment(name), encode_segment(header, log))
        names.append((path.segment(name), name))
        chain = after
    return destination, names


def _log(seed: int) -> bytes:
    """16 MB of a real log's groups, over and over, in each of which some bytes are others."""
    groups = (Path(__file__).parents[1] / "tests" / "seekdb" / "golden.palf").read_bytes()[18_470:]
    source = random.Random(seed)  # noqa: S311 - data, not secrets
    parts, size = list[bytes](), 0
    while size < _SIZE:
        fresh = bytearray(groups)
        for at in range(0, len(fresh), 96):
            fresh[at : at + 16] = source.randbytes(16)
        parts.append(bytes(fresh))
        size += len(fresh)
    return b"".join(parts)[:_SIZE]


def _verify(destination: FileDestination, verified: VerifiedObjects) -> None:
    checker = Checker(destination, verified, 1)
    report = Verifier(checker).run()
    checker.close()
    assert report.is_sound, report.damage


def _decode(destination: FileDestination, names: list[tuple[str, SegmentName]]) -> None:
    for full, name in names:
        for _ in decode_log(*decode_stored(name, destination.get(full))):
            pass


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 512)
