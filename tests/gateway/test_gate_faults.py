"""What goes wrong at the write gate and under the synchronous commit: engines that die or send in pieces."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from redoubt.gateway.encoding import column_payload, end_payload
from redoubt.gateway.packets import frame
from redoubt.sql.answers import Column

from .doors import Door, Tenants
from .fakes import OK, Peer, fake_engine
from .gates import NOT_DURABLE, Gate, not_durable
from .raw import RawClient
from .test_faults import WENT_AWAY
from .test_sessions import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EOF = end_payload(2, deprecate_eof=False)
OK_AND_MORE = OK[:3] + b"\x0a" + OK[4:]
INSERT = b"\x03insert into t values (1)"
REFUSAL = b"\xff" + NOT_DURABLE.to_bytes(2, "little") + b"#HY000committed, but not durable in the archive"


@contextlib.contextmanager
def behind(tmp_path: Path, script: Callable[[Peer], object]) -> Iterator[tuple[Door, Gate]]:
    """Open a door with a gate, and a scripted engine behind it."""
    gate, socket = Gate(), tmp_path / "engine"
    with fake_engine(socket, script), Door(Tenants({"main": socket}, gates={"main": gate})) as door:
        yield door, gate


def answer_timeout(peer: Peer) -> None:
    """Answer the question for how long to wait: for 100 s."""
    peer.log_in()
    assert peer.receive() == b"\x03SELECT @@ob_query_timeout"
    for sequence, payload in enumerate((b"\1", column_payload(Column("n")), EOF, b"\x09100000000", EOF), start=1):
        peer.send(payload, sequence)


def test_an_engine_that_dies_while_a_statement_waits(tmp_path: Path) -> None:
    """The client is told, before the gate opens."""
    ends: list[Peer] = []

    def script(peer: Peer) -> None:
        answer_timeout(peer)
        ends.append(peer)
        wait_until(lambda: not ends)

    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        client.log_in()
        gate.close()
        client.send(INSERT)
        wait_until(lambda: gate.waiting)
        ends.clear()
        assert client.receive() == WENT_AWAY
        assert client.sequence == 1
        assert client.ended()


def test_an_engine_that_dies_instead_of_a_timeout(tmp_path: Path) -> None:
    """Likewise when it was only asked for how long to wait."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()

    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        client.log_in()
        gate.close()
        client.send(INSERT)
        assert client.receive() == WENT_AWAY
        assert client.ended()


def test_an_engine_that_speaks_while_a_statement_waits(tmp_path: Path) -> None:
    """Bytes that nobody asked for end the session."""

    def script(peer: Peer) -> None:
        answer_timeout(peer)
        peer.send(OK, 0)
        peer.receive()

    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        client.log_in()
        gate.close()
        client.send(INSERT)
        assert client.ended()


def test_results_that_come_one_by_one(tmp_path: Path) -> None:
    """An error may take the place of any of them: the client has those before, and nothing of those behind."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        for sequence in (1, 2, 3):
            peer.send(OK if sequence == 3 else OK_AND_MORE, sequence)
            if sequence < 3:
                wait_until(lambda passed=sequence: gates[0].asked == passed)
        peer.receive()
        peer.send(OK, 1)
        peer.receive()

    gates: list[Gate] = []
    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        gates.append(gate)
        client.log_in()
        gate.synchronous(None, not_durable())
        client.send(b"\x03call p()")
        assert client.receive() == OK_AND_MORE
        assert client.receive() == REFUSAL
        assert client.sequence == 2
        client.send(b"\x0e")
        assert client.receive() == OK
        assert client.sequence == 1
    assert gate.asked == 2


def test_a_reply_byte_by_byte(tmp_path: Path) -> None:
    """Its beginning is held once it is one, its end again, and what is between passes."""
    packets = frame(b"\1", 1) + frame(column_payload(Column("n")), 2) + frame(EOF, 3) + frame(b"\1x", 4) + frame(EOF, 5)

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        for position in range(len(packets)):
            peer.socket.sendall(packets[position : position + 1])
            time.sleep(0.0005)  # so that most of them travel alone
        peer.receive()

    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        client.log_in()
        gate.synchronous()
        client.send(b"\x03select f()")
        assert client.read(len(packets)) == packets
    assert gate.asked == 2


def test_an_engine_that_dies_behind_a_refused_beginning(tmp_path: Path) -> None:
    """What the client learns is the archive's error."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.send(b"\1", 1)
        peer.send(column_payload(Column("n")), 2)

    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        client.log_in()
        gate.synchronous(not_durable())
        client.send(b"\x03select f()")
        assert client.receive() == REFUSAL
        assert client.sequence == 1
        assert client.ended()


def test_a_refusal_when_the_engine_wants_a_file(tmp_path: Path) -> None:
    """The engine waits for what the client is not asked for: the session ends."""

    def script(peer: Peer) -> None:
        peer.log_in()
        peer.receive()
        peer.socket.sendall(frame(OK_AND_MORE, 1) + frame(b"\xfbany", 2))
        peer.receive()

    with behind(tmp_path, script) as (door, gate), RawClient(door) as client:
        client.log_in()
        gate.synchronous(not_durable())
        client.send(b"\x03call p(); load data local infile 'any' into table t")
        assert client.ended()
