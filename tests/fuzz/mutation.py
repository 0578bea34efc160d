"""Mutations of bytes that know what formats are made of: lengths, integers, repeated parts."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

_EDIT = 8
_INTERESTING = (0, 1, 2, 15, 16, 31, 32, 47, 48, 127, 128, 251, 252, 253, 254, 255, 256, 4095, 4096, 65535, 65536)
_EDGES = tuple(2**bits + near for bits in (15, 16, 23, 24, 31, 32, 62, 63, 64) for near in (-1, 0, 1))
INTEGERS = tuple(sorted({*_INTERESTING, *_EDGES}))
"""Values at which readers of integers go wrong."""

_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")

Mutation = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes], longest: int) -> bytes:
    """`data` with one to five changes; `others` are inputs and words to take parts from."""
    changed = bytearray(data)
    for _ in range(min(rng.randint(1, 5), rng.randint(1, 5))):
        rng.choice(_MUTATIONS)(rng, changed, others)
    return bytes(changed[:longest])


def edited(base: bytes, program: bytes) -> bytes:
    """`base` changed as the program says: for targets whose input is what happens to a known text.

    Eight bytes an edit: what (1), where (3), how much (2), with what (2). An edit may write
    what is there, so that nothing is changed.
    """
    data = bytearray(base)
    for at in range(0, len(program) - _EDIT + 1, _EDIT):
        what, place = program[at] % 7, int.from_bytes(program[at + 1 : at + 4], "big") % (len(data) + 1)
        amount = int.from_bytes(program[at + 4 : at + 6], "big")
        value = program[at + 6 : at + 8]
        _edit(data, what, place, amount, value)
    return bytes(data)


def _edit(data: bytearray, what: int, place: int, amount: int, value: bytes) -> None:
    if what == 0 and place < len(data):
        data[place] ^= 1 << value[0] % 8
    elif what == 1 and place < len(data):
        data[place] = value[0]
    elif what == 2:
        del data[place : place + amount]
    elif what == 3:
        data[place:place] = value * (1 + amount % 64)
    elif what == 4:
        data[place:place] = data[place : place + amount]
    elif what == 5:
        end = min(place + amount, len(data))
        data[place:end] = value[:1] * (end - place)
    elif what == 6:
        source = int.from_bytes(value, "big") % (len(data) + 1)
        part = data[source : source + amount]
        data[place : place + len(part)] = part


def _place(rng: random.Random, data: bytearray) -> int:
    """An offset: any, or near one of the ends, where headers and trailers are."""
    if not data or rng.random() < 0.7:
        return rng.randint(0, len(data))
    near = rng.randint(0, min(64, len(data)))
    return near if rng.random() < 0.5 else len(data) - near


def _flip(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[min(_place(rng, data), len(data) - 1)] ^= 1 << rng.randint(0, 7)


def _set(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[min(_place(rng, data), len(data) - 1)] = rng.randint(0, 255)


def _nudge(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Add a little to an integer of some size and order: what a wrong length is."""
    size = rng.choice((1, 2, 3, 4, 8))
    at = rng.randint(0, max(0, len(data) - size))
    order = rng.choice(_ORDERS)
    value = int.from_bytes(data[at : at + size], order) + rng.choice((-1, 1)) * rng.choice((1, 1, 2, 4, 8, 16, 256))
    data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, order)


def _integer(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    size = rng.choice((1, 2, 3, 4, 8))
    at = _place(rng, data)
    value = rng.choice(INTEGERS) * rng.choice((1, 1, -1))
    data[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, rng.choice(_ORDERS))


def _cut(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[_place(rng, data) :]


def _delete(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 8, 32, 48, rng.randint(1, 1 + len(data))))]


def _double(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    part = data[at : at + rng.choice((1, 4, 32, 48, rng.randint(1, 1 + len(data))))]
    to = _place(rng, data)
    data[to:to] = part * rng.choice((1, 1, 1, 2, 50))


def _blank(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    end = min(len(data), at + rng.choice((1, 2, 8, 48, rng.randint(1, 1 + len(data)))))
    data[at:end] = bytes((rng.choice((0, 0, 255, 32)),)) * (end - at)


def _insert(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    data[at:at] = rng.randbytes(rng.choice((1, 2, 4, 8, 100)))


def _splice(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Go on with another input."""
    other = rng.choice(others) if others else b""
    at = _place(rng, data)
    data[at:] = other[rng.randint(0, len(other)) :]


def _graft(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    """Put a part of another input, or a whole word, in or over."""
    other = rng.choice(others) if others else b""
    if len(other) > 40:
        start = rng.randint(0, len(other))
        other = other[start : start + rng.choice((8, 32, 48, rng.randint(1, len(other))))]
    at = _place(rng, data)
    data[at : at + rng.choice((0, len(other)))] = other


_MUTATIONS: tuple[Mutation, ...] = (
    *(_flip, _set, _nudge, _nudge, _integer, _integer, _cut, _delete),
    *(_double, _blank, _insert, _splice, _graft, _graft),
)
