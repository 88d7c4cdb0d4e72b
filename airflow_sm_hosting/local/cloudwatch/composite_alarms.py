"""The rules of composite alarms.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Names of alarms may have almost any character; unquoted ones end at the bracket.
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<state>ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"(?P<quoted>[^"]+)"|(?P<plain>[^()"]+?))\s*\)
      | (?P<word>TRUE|FALSE|AND|OR|NOT)\b
      | (?P<bracket>[()])
    )""",
    re.VERBOSE,
)
# "The AlarmRule can specify as many as 100 children alarms … as many as 500 elements."
_MAX_ELEMENTS = 500
_MAX_CHILDREN = 100


class RuleError(ValueError):
    """The text is not a rule; the message says why."""


@dataclass(frozen=True)
class Rule:
    """A parsed rule.

    :param children: The names (or ARNs) of its alarms, in its order.
    :param _holds: Tells whether it holds, from the states of alarms.
    """

    children: tuple[str, ...]
    _holds: Callable[[Callable[[str], str | None]], bool]

    def holds(self, state_of: Callable[[str], str | None]) -> bool:
        """Return whether the rule holds.

        :param state_of: Returns the state of the alarm of that name or ARN, None if there is none.
        """
        return self._holds(state_of)


def parse(text: str) -> Rule:
    """Parse a rule.

    :raises RuleError: The text is not a rule.
    """
    tokens = _tokens(text)
    children = tuple(dict.fromkeys(token[1] for token in tokens if len(token) == 2))
    if len(children) > _MAX_CHILDREN:
        raise RuleError(f"AlarmRule must not contain more than {_MAX_CHILDREN} alarms.")
    parser = _Parser(tokens)
    return Rule(children, parser.rule())


def _tokens(text: str) -> list[tuple[str, ...]]:
    tokens: list[tuple[str, ...]] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise RuleError(f"AlarmRule has a syntax error at {text[place:].strip()[:40]!r}.")
        if match["state"]:
            tokens.append((match["state"], (match["quoted"] or match["plain"]).strip()))
        else:
            tokens.append((match["word"] or match["bracket"],))
        place = match.end()
    if len(tokens) > _MAX_ELEMENTS:
        raise RuleError(f"AlarmRule must not have more than {_MAX_ELEMENTS} elements.")
    return tokens


_Holds = Callable[[Callable[[str], str | None]], bool]


class _Parser:
    def __init__(self, tokens: Sequence[tuple[str, ...]]) -> None:
        self._tokens = [*tokens, ("",)]
        self._place = 0

    def rule(self) -> _Holds:
        holds = self._any_of()
        if self._tokens[self._place] != ("",):
            raise self._unexpected()
        return holds

    def _any_of(self) -> _Holds:
        parts = [self._all_of()]
        while self._took("OR"):
            parts.append(self._all_of())
        return lambda state_of: any(part(state_of) for part in parts)

    def _all_of(self) -> _Holds:
        parts = [self._one()]
        while self._took("AND"):
            parts.append(self._one())
        return lambda state_of: all(part(state_of) for part in parts)

    def _one(self) -> _Holds:
        negative = False
        while self._took("NOT"):
            negative = not negative
        token = self._tokens[self._place]
        self._place += 1
        if len(token) == 2:
            state, name = token
            return lambda state_of: (state_of(name) == state) is not negative
        if token[0] in ("TRUE", "FALSE"):
            holds = (token[0] == "TRUE") is not negative
            return lambda _: holds
        if token == ("(",):
            inner = self._any_of()
            if not self._took(")"):
                raise self._unexpected()
            return lambda state_of: inner(state_of) is not negative
        self._place -= 1
        raise self._unexpected()

    def _took(self, word: str) -> bool:
        if self._tokens[self._place] != (word,):
            return False
        self._place += 1
        return True

    def _unexpected(self) -> RuleError:
        token = self._tokens[self._place]
        return RuleError(
            f"AlarmRule has an unexpected {token[0]!r}." if token[0] else "AlarmRule ends too early."
        )
