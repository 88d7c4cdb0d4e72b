"""(what was asked for, what AWS describes) -> where they differ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

#: Members by which AWS's lists of pairs are told apart; it may describe them in another order.
_PAIR_KEYS = ("Name", "Key", "Id")

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
        if described.get(_HIDDEN) and _HIDDEN not in wanted:
            # SageMaker adds no environment by itself.
            lines.append(f"{path}.{_HIDDEN} is there, and is not wanted")
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


#: What AWS adds by itself to what was asked for; None stands for any value. DescribeModel and DescribeEndpointConfig documentation where
#: it says so; ``ModelDataSource`` beside ``ModelDataUrl``, and the timeouts' absence, are assumed. Alarms: PutMetricAlarm documentation.
AWS_DEFAULTS: dict[str, Any] = {
    "EnableNetworkIsolation": False,
    "EnableSSMAccess": False,
    "InitialVariantWeight": 1.0,
    "Mode": "SingleModel",
    "ModelDataSource": None,
    "DeploymentRecommendation": None,
    "MetricsConfig": None,
    "RoutingConfig": None,
    "TreatMissingData": "missing",
    "EvaluateLowSampleCountPercentile": "evaluate",
    "EvaluationWindow": {"SlidingWindow": {}},
    "ActionsEnabled": True,
    "DisableScaleIn": False,
    "MetricAggregationType": None,
}


def unwanted(
    wanted: Any, described: Any, members: Collection[str] | None = None, path: str = ""
) -> list[str]:
    """Return a line for every member that ``described`` has and ``wanted`` does not ask for.

    What AWS adds by itself does not count. Together with :func:`differences` it tells whether two are equal.

    :param wanted: A request, or a part of it.
    :param described: The same part of a Describe answer.
    :param members: The members that count at this level (default: all), as an answer has more than its request.
    """
    if isinstance(wanted, Mapping) and isinstance(described, Mapping):
        lines = []
        for name, value in described.items():
            where = f"{path}.{name}" if path else name
            if name in wanted:
                lines += unwanted(wanted[name], value, None, where)
            elif (
                (members is not None and name not in members)
                or value in (None, [], {}, "")
                or AWS_DEFAULTS.get(name, ...) in (None, value)
            ):
                continue
            elif _HIDDEN not in path:
                lines.append(f"{where} is {_shown(value)!r}, and is not wanted")
        return lines
    if (
        isinstance(wanted, list | tuple)
        and isinstance(described, list | tuple)
        and len(wanted) == len(described)
    ):
        pairs = zip(_in_order(wanted), _in_order(described), strict=True)
        return [
            line
            for index, (one, other) in enumerate(pairs)
            for line in unwanted(one, other, None, f"{path}[{index}]")
        ]
    return []


def _in_order(items: Any) -> list[Any]:
    for key in _PAIR_KEYS:
        if all(isinstance(item, Mapping) and key in item for item in items):
            return sorted(items, key=lambda item: str(item[key]))
    return list(items)


def _line(path: str, wanted: Any, described: Any) -> str:
    if _HIDDEN in path:
        return f"{path} differs"
    return f"{path} is {_shown(described)!r}, wanted {_shown(wanted)!r}"


def _shown(value: Any) -> Any:
    """Return a value as it may be shown: with the values of environments in it hidden."""
    if isinstance(value, Mapping):
        return {
            name: dict.fromkeys(item, "***")
            if name == _HIDDEN and isinstance(item, Mapping)
            else ("***" if name == _HIDDEN else _shown(item))
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value
