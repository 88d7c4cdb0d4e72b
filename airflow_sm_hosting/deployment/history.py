"""(the configs that served, what serves, what comes) -> where a rollback goes.

SageMaker forgets which config served before, so it stands in the endpoint's tags: a list, newest first.
"""

from __future__ import annotations

from collections.abc import Sequence

#: A tag's value has 256 characters at most (AddTags), a config's name 63: four names, each with a space after it.
MAX_LENGTH = 256


def remembered(text: str | None) -> list[str]:
    """Return the configs that a tag's value names."""
    return (text or "").split()


def written(history: Sequence[str]) -> str:
    """Return the tag's value: the newest configs, as many as it has room for."""
    text = ""
    for name in history:
        longer = f"{text} {name}".strip()
        if len(longer) > MAX_LENGTH:
            break
        text = longer
    return text


def after_update(history: Sequence[str], *, serving: str, wanted: str) -> list[str]:
    """Return the history once ``wanted`` takes the place of ``serving``."""
    return [serving, *(name for name in history if name not in (serving, wanted))]


def with_overlooked(history: Sequence[str], overlooked: Sequence[str], *, serving: str) -> list[str]:
    """Return the history with configs that served since it was written, newest first; one of them or none may be ``serving``."""
    return [name for name in dict.fromkeys((*overlooked, *history)) if name != serving]


def after_rollback(history: Sequence[str], *, target: str) -> list[str]:
    """Return the history once ``target`` serves again: what is newer was not good, and is no place to go back to."""
    return list(history[history.index(target) + 1 :]) if target in history else []


def rollback_target(history: Sequence[str], *, serving: str | None) -> str | None:
    """Return the config to go back to: the newest that does not serve now; None when there is none.

    After an update that SageMaker rolled back by itself, the newest one is the one that serves.
    """
    return next((name for name in history if name != serving), None)
