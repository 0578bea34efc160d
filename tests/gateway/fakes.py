"""Engines that do what a real one won't: a script of bytes on a unix socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from redoubt.gateway.admission import WHITE_LIST
from redoubt.gateway.encoding import add_answer, ok_payload
from redoubt.gateway.handshake import Greeting, encode_greeting
from redoubt.gateway.packets import PacketBuilder, frame
from redoubt.gateway.protocol import Capability, Status
from redoubt.sql.answers import Column, Ok, Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GREETING = frame(encode_greeting(Greeting(77, b"s" * 20, 0x9FF7FF)), 0)
OK = ok_payload(Ok(), 2)


class Peer:
    """The engine's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def send(self, payload: bytes, sequence: int) -> None:
        """Send one packet."""
        self.socket.sendall(frame(payload, sequence))

    def receive(self) -> bytes:
        """Return the next packet's payload; empty at the end of the connection."""
        header = self._file.read(4)
        return self._file.read(int.from_bytes(header[:3], "little")) if header else b""

    def log_in(self) -> bytes:
        """Let the client in, and return its login packet."""
        self.socket.sendall(GREETING)
        request = self.receive()
        self.send(OK, 2)
        self.invite(request)
        return request

    def invite(self, request: bytes) -> None:
        """Answer the gateway's question for the white list, if the gateway goes on after the verdict."""
        if self.receive():
            packets = PacketBuilder(1)
            deprecate_eof = bool(int.from_bytes(request[:4], "little") & Capability.DEPRECATE_EOF)
            white_list = Rows((Column(WHITE_LIST),), [("%",)])
            add_answer(packets, white_list, Status.AUTOCOMMIT, deprecate_eof=deprecate_eof, binary=False)
            self.socket.sendall(packets.data)

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def fake_engine(path: Path, script: Callable[[Peer], object]) -> Iterator[None]:
    """Serve one connection with a script, which must have run to its end when the context is left."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with serving(listener, script):
            yield


@contextlib.contextmanager
def serving(listener: socket.socket, script: Callable[[Peer], object]) -> Iterator[None]:
    """The same on a socket that listens."""
    failures: list[BaseException] = []

    def serve() -> None:
        connection, _ = listener.accept()
        connection.settimeout(20)
        peer = Peer(connection)
        try:
            script(peer)
        except BaseException as error:  # noqa: BLE001 - raised again below, in the test's thread
            failures.append(error)
        finally:
            peer.close()

    listener.settimeout(20)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        thread.join(20)
    assert not thread.is_alive()
    assert failures == []
