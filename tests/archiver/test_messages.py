"""The lines between the service and its worker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redoubt.messages.archiving import (
    ArchivePiece,
    Command,
    Configure,
    Event,
    Flush,
    Flushed,
    HoleClosed,
    HoleOpened,
    PieceBroken,
    PieceFreezing,
    PieceProgress,
    PieceStopped,
    PieceTrouble,
    StopRound,
    from_line,
    to_line,
)

MESSAGES = st.one_of(
    st.builds(ArchivePiece),
    st.builds(Configure),
    st.builds(StopRound, patience=st.floats(0, 1e6)),
    st.builds(PieceProgress),
    st.builds(PieceTrouble),
    st.builds(PieceStopped),
    st.builds(PieceBroken),
    st.builds(Flush),
    st.builds(Flushed),
    st.builds(PieceFreezing),
    st.builds(HoleOpened),
    st.builds(HoleClosed),
)


@given(MESSAGES)
def test_a_message_survives_the_line(message: Command | Event) -> None:
    """One line of ASCII, whatever text is in it."""
    line = to_line(message)

    assert message == from_line(line)
    assert line.index(b"\n") == len(line) - 1
    assert line.isascii()


def test_a_path_that_is_no_text_survives_the_line() -> None:
    """A directory's name may hold any bytes; Python carries them as lone surrogates."""
    message = PieceTrouble(1001, 1, b"/backup/\xff: gone".decode(errors="surrogateescape"))

    assert message == from_line(to_line(message))


@pytest.mark.parametrize(
    "line", [b"", b"{}\n", b"[]\n", b'{"kind":"Other"}\n', b'{"kind":"Configure"}\n', b'{"kind":"Configure","a":1}\n']
)
def test_a_line_that_is_no_message_is_not_taken_for_one(line: bytes) -> None:
    """Both ends are of the same version, so that it is a mistake of ours."""
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_line(line)
