"""A client of packets and bytes, for what no proper client does."""

from __future__ import annotations

import hashlib
import socket
from typing import TYPE_CHECKING

from redoubt.gateway.packets import Payload, frame
from redoubt.gateway.protocol import AUTH_PLUGIN, OFFERED, Capability

if TYPE_CHECKING:
    from typing import Protocol, Self

    class Server(Protocol):
        """What listens: a gateway of a test's own, or a service."""

        @property
        def host(self) -> str:
            """The address."""

        @property
        def port(self) -> int:
            """The port."""


CAPABILITIES = OFFERED & ~(Capability.CONNECT_WITH_DB | Capability.CONNECT_ATTRS)


def native_answer(password: bytes, salt: bytes) -> bytes:
    """Return the answer of mysql_native_password."""
    if not password:
        return b""
    once = hashlib.sha1(password).digest()
    twice = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()
    return bytes(a ^ b for a, b in zip(once, twice, strict=True))


def login_packet(
    user: bytes, *, capabilities: int = CAPABILITIES, answer: bytes = b"", tail: bytes = AUTH_PLUGIN + b"\0"
) -> bytes:
    """Return a HandshakeResponse41's payload."""
    head = capabilities.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little") + bytes((45,)) + bytes(23)
    return head + user + b"\0" + bytes((len(answer),)) + answer + tail


class RawClient:
    """A socket that speaks packets; used as a context it closes itself."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection((server.host, server.port), timeout=20)
        self.sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, payload: bytes, sequence: int = 0) -> None:
        """Send one packet."""
        self.socket.sendall(frame(payload, sequence))

    def receive(self) -> bytes:
        """Return the next packet's payload; empty at the end of the connection."""
        header = self.read(4)
        if not header:
            return b""
        self.sequence = header[3]
        return self.read(int.from_bytes(header[:3], "little"))

    def read(self, size: int) -> bytes:
        """Return that many bytes, or fewer at the end of the connection."""
        data = bytearray()
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                break
            data += more
        return bytes(data)

    def ended(self) -> bool:
        """Tell whether nothing but the end of the connection comes."""
        return self.read(1) == b""

    def has_ended_yet(self) -> bool:
        """Tell whether the end of the connection has come already, and nothing before it."""
        self.socket.settimeout(0)
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(20)

    def answer_switch(self, password: bytes, switch: bytes, sequence: int) -> bytes:
        """Answer an AuthSwitchRequest and return the verdict."""
        payload = Payload(switch)
        assert payload.integer(1) == 0xFE
        assert payload.until_nul() == AUTH_PLUGIN
        self.send(native_answer(password, payload.take(20)), sequence)
        return self.receive()

    def log_in(self, user: str = "root@main", password: bytes = b"", *, capabilities: int = CAPABILITIES) -> bytes:
        """Log in and return the verdict."""
        greeting = self.receive()
        assert greeting[0] == 10
        self.send(login_packet(user.encode(), capabilities=capabilities), 1)
        switch = self.receive()
        assert self.sequence == 2
        verdict = self.answer_switch(password, switch, 3)
        assert self.sequence == 4
        return verdict
