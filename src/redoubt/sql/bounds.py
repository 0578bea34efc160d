"""How much of a client's text is looked into: the event loop serves nobody else meanwhile. Beyond, it is the engine's.

In all, nothing that a client sends may keep the loop for 50 ms (`tests/fuzz/test_stalls.py`).
"""

from __future__ import annotations

from typing import Final

LONGEST_TEXT: Final = 64 * 1024
"""Bytes, or characters, of a text that statements are looked for in, and whose effect is judged by more than a word."""

MOST_WORDS: Final = 1024
"""Tokens of one statement of Redoubt's: some 250 parameters with their values."""

MOST_STATEMENTS: Final = 256
"""Statements that one text is cut into; each of them costs a turn of the event loop, and a packet to the engine."""
