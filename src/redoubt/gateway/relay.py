"""Relays replies to the client and long commands to the engine, in the chunks in which they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redoubt.gateway.faults import ProtocolError
from redoubt.gateway.protocol import MAX_PART

if TYPE_CHECKING:
    from redoubt.gateway.hold import Hold
    from redoubt.gateway.replies import Reply
    from redoubt.gateway.wire import Wire

_HEADER = 4
_CHUNK = 256 * 1024


async def relay_reply(reply: Reply, client: Wire, engine: Wire, hold: Hold | None = None) -> None:
    """Pass the engine's reply on until it is complete; the client gets only whole beginnings of packets.

    A `hold` is asked before each chunk, and may withhold the chunk.
    """
    held = 0
    while not reply.done:
        if reply.wants_file:
            reply.file_sent(await _relay_file(client, engine, reply.shift))
            held = 0
            continue
        data = await engine.receive(more_than=held)
        used = reply.feed(data)
        held = len(data) - used
        if held:
            engine.unread(data[used:])
            del data[used:]
        if hold and used and not await hold.release(reply, data):
            continue
        client.send(data)
        if client.congested:
            await client.drain()


async def relay_command(client: Wire, engine: Wire) -> int:
    """Pass on the command that begins in the client's buffer, part by part; return its last sequence number.

    An engine that closes its connection meanwhile has usually answered that the packet is too long.
    """
    sequence = 0
    while True:
        header = await client.read(_HEADER)
        if header[3] != sequence:
            raise ProtocolError("the client's packets are out of order")
        length = await _relay_part(header, client, engine)
        if length < MAX_PART or engine.lost:
            return sequence
        sequence = (sequence + 1) & 0xFF


async def discard_command(client: Wire) -> int:
    """Read and discard the command that begins in the client's buffer; return its last sequence number."""
    while True:
        header = await client.read(_HEADER)
        left = length = int.from_bytes(header[:3], "little")
        while left:
            left -= len(await client.read_some(min(left, _CHUNK)))
        if length < MAX_PART:
            return header[3]


async def _relay_file(client: Wire, engine: Wire, shift: int) -> int:
    """Pass on a local file, up to the empty packet that ends it; return the last sequence number, as the client's."""
    length = 0
    while True:
        header = await client.read(_HEADER)
        continues = length == MAX_PART
        renumbered = header[:3] + bytes(((header[3] - shift) & 0xFF,))
        length = await _relay_part(renumbered, client, engine)
        if engine.lost or not (length or continues):
            return header[3]


async def _relay_part(header: bytes, client: Wire, engine: Wire) -> int:
    length = int.from_bytes(header[:3], "little")
    engine.send(header)
    left = length
    while left and not engine.lost:
        chunk = await client.read_some(min(left, _CHUNK))
        engine.send(chunk)
        if engine.congested:
            await engine.drain()
        left -= len(chunk)
    return length
