"""Commands one of whose arguments is an amount of money.

A word that begins with a minus is an option to the parser, so `wallet topup -5` would be told that there is no option `-5`.
Here such a number is an argument like any other, and whoever reads it says what is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from typer.core import TyperCommand

#: No option begins with a digit.
_NEGATIVE = re.compile(r"-\$?\.?[0-9]")
_REST_ARE_ARGUMENTS = "--"


class AmountCommand(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        valued = {
            name
            for param in self.params
            if param.param_type_name == "option" and not getattr(param, "is_flag", False)
            for name in param.opts
        }
        return super().parse_args(ctx, negatives_last(args, valued))


def negatives_last(words: Sequence[str], valued: Collection[str]) -> list[str]:
    """The same words, with negative numbers that stand alone behind a `--`. `valued`: options whose next word is their value,
    whatever it is."""
    kept: list[str] = []
    negative: list[str] = []
    is_value = False
    for place, word in enumerate(words):
        if is_value:
            is_value = False
        elif word == _REST_ARE_ARGUMENTS:
            return [*kept, _REST_ARE_ARGUMENTS, *negative, *words[place + 1 :]]
        elif _NEGATIVE.match(word):
            negative.append(word)
            continue
        else:
            is_value = word in valued
        kept.append(word)
    return [*kept, _REST_ARE_ARGUMENTS, *negative] if negative else kept
