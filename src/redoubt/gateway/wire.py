"""A connection: bounded input, output with back-pressure, and whole packets on request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, cast

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.protocol import MAX_PART

if TYPE_CHECKING:
    from collections.abc import Callable

    from redoubt.gateway.faults import Gone
    from redoubt.gateway.socket_owner import Address

_READ_LIMIT = 256 * 1024
_WRITE_LIMIT = 256 * 1024
_HEADER = 4

# A peer that vanishes silently is noticed after two minutes, whether or not there is something to send; so is a peer
# that accepts no data for that long (a MySQL server waits for net_write_timeout, one minute).
_KEEPALIVE = {
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 60,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 6,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 120_000,
}


class Wire(asyncio.Protocol):
    """One side of a session. Reading is for one task at a time, and so is waiting until there is room to write.

    `peer` is the address of the other side, for the log. `addresses` are host and port of this side and of the other
    side, of a TCP connection. `has_spoken`: something has come from the other side. `gone` is the exception for a lost
    peer; it is raised only after all earlier input is read. Writing to a lost peer does nothing. `on_lost` is called
    once, when the peer is lost.
    """

    def __init__(self, gone: type[Gone], on_open: Callable[[Wire], None] | None = None) -> None:
        self.on_lost: Callable[[], None] | None = None
        self.lost = False
        self.congested = False
        self.has_spoken = False
        self.peer = ""
        self.addresses: tuple[Address, Address] = ("", 0), ("", 0)
        self._gone = gone
        self._on_open = on_open
        self._arrived = bytearray()
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_LIMIT)
        self._loop = asyncio.get_running_loop()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        end = self._transport.get_extra_info("socket")
        if end.family != socket.AF_UNIX:
            own, peer = (self._transport.get_extra_info(name) for name in ("sockname", "peername"))
            if own and peer:
                self.addresses, self.peer = (own[:2], peer[:2]), str(peer)
            for (level, option), value in _KEEPALIVE.items():
                end.setsockopt(level, option, value)
        if self._on_open:
            self._on_open(self)

    def data_received(self, data: bytes) -> None:
        """Buffer input; pause reading when the buffer is full and nobody waits."""
        self._arrived += data
        self.has_spoken = True
        if self._waiter:
            self._wake_reader()
        elif len(self._arrived) > _READ_LIMIT and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> None:
        """Treat a peer that sends no more as lost; the transport closes after the remaining output is sent."""
        self._lose()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the cause makes no difference
        """Note the end of the connection."""
        self._end()

    def pause_writing(self) -> None:
        """Note that the peer is slower than we are."""
        self.congested = True

    def resume_writing(self) -> None:
        """Note that there is room again."""
        self.congested = False
        self._wake_writer()

    # What a session calls.

    @property
    def waiting(self) -> int:
        """Bytes that have arrived and are not read."""
        return len(self._arrived)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Switch to TLS, as the server. Raises ProtocolError if the handshake fails, and `gone`.

        Unread input belongs to the handshake, because a client need not wait before it begins. No plain text is left to
        read afterwards: a command injected before the handshake makes the handshake fail.
        """
        if self.lost:
            raise self._gone
        plain, early = self._transport, self._arrived
        self._arrived, self._paused = bytearray(), False
        if early:  # in two steps, to be behind what start_tls itself plans, and before what the socket brings next
            self._loop.call_soon(self._loop.call_soon, _replay, plain, early)
        try:
            encrypted = await self._loop.start_tls(plain, self, context, server_side=True)
        except BaseException as error:
            plain.abort()
            self._end()
            if isinstance(error, ssl.SSLError):
                raise ProtocolError(f"the TLS handshake failed: {error.reason}") from error
            if isinstance(error, OSError):
                raise self._gone from error
            raise
        assert encrypted
        self._transport = encrypted
        self._transport.set_write_buffer_limits(high=_WRITE_LIMIT)

    async def receive(self, more_than: int = 0) -> bytearray:
        """Return all input, once there are more than that many bytes."""
        while len(self._arrived) <= more_than:
            await self._wait()
        arrived, self._arrived = self._arrived, bytearray()
        self._resume()
        return arrived

    def unread(self, data: bytearray) -> None:
        """Put unused input back."""
        self._arrived[:0] = data

    async def read(self, size: int) -> bytes:
        """Return exactly that many bytes."""
        while len(self._arrived) < size:
            await self._wait()
        data = bytes(memoryview(self._arrived)[:size])
        del self._arrived[:size]
        self._resume()
        return data

    async def read_some(self, limit: int) -> bytes:
        """Return input, at least one byte and at most `limit`."""
        while not self._arrived:
            await self._wait()
        return await self.read(min(limit, len(self._arrived)))

    async def peek(self, size: int) -> bytearray:
        """Return the buffer, with at least that many bytes in it, without reading; not to be changed or kept."""
        while len(self._arrived) < size:
            await self._wait()
        return self._arrived

    async def packet(self, limit: int) -> tuple[int, bytes]:
        """Read one whole packet: the sequence number of its last part, and its payload of up to `limit` bytes."""
        payload = b""
        while True:
            header = await self.read(_HEADER)
            length = int.from_bytes(header[:3], "little")
            if len(payload) + length > limit:
                raise ProtocolError(f"the packet is longer than {limit} bytes")
            payload += await self.read(length)
            if length < MAX_PART:
                return header[3], payload

    def send(self, data: bytes | bytearray) -> None:
        """Send bytes, or buffer them until the peer accepts them; see `congested` and `drain`."""
        if not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until there is room to send, or the peer is lost."""
        while self.congested and not self.lost:
            self._room = self._loop.create_future()
            await self._room

    def close(self) -> None:
        """Close, after the remaining output is sent."""
        self._transport.close()

    async def finish(self, patience: float) -> None:
        """Close; abort if the peer has not accepted the remaining output within that many seconds."""
        self.close()
        try:
            async with asyncio.timeout(patience):
                await asyncio.shield(self._closed)
        except TimeoutError:
            self._transport.abort()
            await self._closed

    def _end(self) -> None:
        self._lose()
        if not self._closed.done():
            self._closed.set_result(None)

    def _lose(self) -> None:
        if self.lost:
            return
        self.lost = True
        self._wake_reader()
        self._wake_writer()
        if self.on_lost:
            self.on_lost()

    async def _wait(self) -> None:
        if self.lost:
            raise self._gone
        self._resume()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _wake_reader(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def _wake_writer(self) -> None:
        if self._room and not self._room.done():
            self._room.set_result(None)


def _replay(transport: asyncio.Transport, data: bytearray) -> None:
    """Give earlier input to a transport's protocol, which is asyncio's TLS by now."""
    protocol = cast("asyncio.BufferedProtocol", transport.get_protocol())
    left = memoryview(data)
    while left:
        buffer = memoryview(protocol.get_buffer(len(left)))
        size = min(len(left), len(buffer))
        buffer[:size] = left[:size]
        protocol.buffer_updated(size)
        left = left[size:]
