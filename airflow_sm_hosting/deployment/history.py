"""The configs that served before, and the target of a rollback.

SageMaker does not store which config served before, so the endpoint's tags do: a list, newest first.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

#: A tag's value has at most 256 characters (AddTags), a config's name at most 63: four names, each with a space after it.
MAX_LENGTH = 256


def remembered(text: str | None) -> list[str]:
    """Return the configs in a tag's value."""
    return (text or "").split()


def written(history: Sequence[str]) -> str:
    """Return the tag's value: as many of the newest configs as fit."""
    text = ""
    for name in history:
        longer = f"{text} {name}".strip()
        if len(longer) > MAX_LENGTH:
            break
        text = longer
    return text


def after_update(history: Sequence[str], *, serving: str, wanted: str) -> list[str]:
    """Return the history after ``wanted`` replaces ``serving``."""
    return [serving, *(name for name in history if name not in (serving, wanted))]


def with_overlooked(history: Sequence[str], overlooked: Sequence[str], *, serving: str) -> list[str]:
    """Add the configs that served since the history was written, newest first; at most one of them is ``serving``."""
    return [name for name in dict.fromkeys((*overlooked, *history)) if name != serving]


def after_rollback(history: Sequence[str], *, target: str) -> list[str]:
    """Return the history for a rollback to ``target``: newer configs are dropped, as they were bad and are no rollback target.

    The target stays in the history: if SageMaker rolls the rollback back, it is the target of the next one, too.
    """
    return list(history[history.index(target) :]) if target in history else []


def rollback_target(
    history: Sequence[str], *, serving: str | None, unverified: Collection[str] = ()
) -> str | None:
    """Return the rollback target: the newest verified config that does not serve now; None when there is none.

    After an update that SageMaker itself rolled back, the newest config of the history is the serving one.

    :param history: The configs that served before, newest first.
    :param serving: The serving config.
    :param unverified: The configs whose verification failed or never ended.
    """
    return next((name for name in history if name != serving and name not in unverified), None)
