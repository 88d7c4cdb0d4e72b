"""(what was asked for, what AWS describes) -> where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Members by which AWS's lists of pairs are told apart; it may describe them in another order.
_PAIR_KEYS = ("Name", "Key")

_HIDDEN = "Environment"


#: What is told of something that does not exist yet.
ABSENT = ["it does not exist"]


def differences(wanted: Any, described: Any, path: str = "") -> list[str]:
    """Return a line for every member of ``wanted`` that ``described`` does not have equally.

    What AWS adds by itself does not count, nor do the order of name-value pairs and the kind of a number. Values of environments are
    not shown.

    :param wanted: A request, or a part of it.
    :param described: The same part of a Describe answer.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(described, Mapping):
            return [_line(path, wanted, described)] if wanted else []
        lines = []
        for name, value in wanted.items():
            lines += differences(value, described.get(name), f"{path}.{name}" if path else name)
        if path.endswith(_HIDDEN):
            lines += [f"{path}.{name} is there and not wanted" for name in described if name not in wanted]
        return lines
    if isinstance(wanted, list | tuple):
        found = list(described) if isinstance(described, list | tuple) else []
        if len(wanted) != len(found):
            return [_line(path, wanted, described)] if wanted or found else []
        return [
            line
            for index, (one, other) in enumerate(zip(_in_order(wanted), _in_order(found), strict=True))
            for line in differences(one, other, f"{path}[{index}]")
        ]
    return [] if wanted == described else [_line(path, wanted, described)]


def _in_order(items: Any) -> list[Any]:
    for key in _PAIR_KEYS:
        if all(isinstance(item, Mapping) and key in item for item in items):
            return sorted(items, key=lambda item: str(item[key]))
    return list(items)


def _line(path: str, wanted: Any, described: Any) -> str:
    if _HIDDEN in path:
        return f"{path} differs"
    return f"{path} is {described!r}, wanted {wanted!r}"
