"""A command whose options may each be given once: of two values, the first would vanish without a word."""

from __future__ import annotations

from collections import Counter
from typing import Any

from typer.core import TyperCommand, TyperOption


class OnceCommand(TyperCommand):
    """Refuses an option that is given twice, unless the option takes several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """See `click.Command`; ends the command with a usage error."""
        if not ctx.resilient_parsing:  # completing a line in a shell
            _, _, order = self.make_parser(ctx).parse_args(list(args))
            given = Counter(each for each in order if isinstance(each, TyperOption) and not each.multiple)
            for option, times in given.items():
                if times > 1:
                    ctx.fail(f"{option.opts[0]} was given {times} times; give it once")
        return super().parse_args(ctx, args)
