"""Text, numbers and vectors that are made up from a request: the same ones for the same request, on every computer."""

from __future__ import annotations

import hashlib
from typing import Any

_WORDS = (
    "amber birch cedar delta ember fjord grove harbor island jasper kelp lagoon meadow north ocean pebble "
    "quartz river stone tundra umber valley willow yarrow"
).split()
#: The length of a text without a limit, and the most of one with a limit, in tokens.
USUAL_TOKENS, MOST_TOKENS = 16, 4096
#: The length of a vector of TEI.
DIMENSIONS = 384


def number_of(*what: Any) -> int:
    """Return a number of 256 bits that is made of any values."""
    return int.from_bytes(hashlib.sha256(repr(what).encode()).digest(), "big")


def score_of(*what: Any) -> float:
    """Return a number from 0 to 1 that is made of any values."""
    return number_of(*what) % 10**6 / 10**6


def made_up_tokens(limit: int | None, *what: Any) -> list[str]:
    """Return the tokens of a text; the first ones say that it is a stand-in's.

    :param limit: The most tokens, None for the usual number.
    """
    count = USUAL_TOKENS if limit is None else min(limit, MOST_TOKENS)
    words = ["Stand-in", " says:"]
    words += [f" {_WORDS[number_of(index, *what) % len(_WORDS)]}" for index in range(count - len(words))]
    return words[:count]


def made_up_vector(*what: Any) -> list[float]:
    """Return a vector of length 1."""
    raw = [score_of(index, *what) - 0.5 for index in range(DIMENSIONS)]
    length = sum(value * value for value in raw) ** 0.5
    return [round(value / length, 6) for value in raw]


def token_count(text: str) -> int:
    """Return how many tokens a text has, as a stand-in counts them: its words."""
    return len(text.split())
