"""Prints result sets like MySQL's client, on terminals of any width, and error messages."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from redoubt.printable import printable, printable_lines

_ENDLESS = 10_000


class _Console(Console):
    """Prints no escape sequences but its own: a text may quote a destination or a database."""

    def print(self, *objects: Any, **options: Any) -> None:
        """See `Console`."""
        super().print(*(printable_lines(each) if isinstance(each, str) else each for each in objects), **options)


def console(*, error: bool = False) -> Console:
    """The console on standard output or standard error; lines to a pipe or file are not wrapped."""
    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else _ENDLESS
    return _Console(stderr=error, width=width, highlight=False, soft_wrap=error, markup=False)


def complain(problem: object) -> None:
    """Print a problem on standard error, on one line."""
    console(error=True).print(f"redoubt: {printable(str(problem))}", style="red")


def print_rows(out: Console, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a result set as a table, or vertically (one column per line) if the terminal is too narrow."""
    table = Table(box=box.ASCII2, header_style="")
    for name in names:
        table.add_column(Text(name))
    for row in rows:
        table.add_row(*(_value(value) for value in row))
    natural = Measurement.get(out, out.options.update(max_width=_ENDLESS), table).maximum
    if rows and natural > out.width:
        _print_vertical(out, names, rows)
    else:
        out.print(table)


def _print_vertical(out: Console, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    widest = max(len(name) for name in names)
    for number, row in enumerate(rows, 1):
        out.print(f"*** {number}. row ***", style="dim")
        for name, value in zip(names, row, strict=True):
            out.print(Text.assemble(f"{name:>{widest}}: ", _value(value)))


def _value(value: Any) -> Text:
    return Text("NULL", style="dim") if value is None else Text(printable_lines(str(value)))


class Changes:
    """Tells a line only if it is another than the last one: a standby that gets no log asks ten times a second."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._last = ""

    def tell(self, line: str) -> None:
        """Tell the line, unless it is the last one."""
        if line != self._last:
            self._last = line
            self._tell(line)
