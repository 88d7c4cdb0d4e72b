"""Compare a request with the description of the resource."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

#: Members that identify the entries of AWS's lists of pairs; AWS may describe the entries in another order.
_PAIR_KEYS = ("Name", "Key", "Id")

_HIDDEN = "Environment"


#: Difference for a resource that does not exist yet.
ABSENT = ["it does not exist"]


@dataclass(frozen=True)
class Difference:
    """A member that is missing or different.

    :param path: The member, from the outermost name to the innermost.
    :param described: Its described value, for display.
    :param requested: Its requested value, for display.
    :param line: The difference in words.
    """

    path: str
    described: str
    requested: str
    line: str


def differences(wanted: Any, described: Any, path: str = "") -> list[str]:
    """Return a line for every member of ``wanted`` that is missing or different in ``described``; see :func:`find_differences`."""
    return [found.line for found in find_differences(wanted, described, path)]


def find_differences(wanted: Any, described: Any, path: str = "") -> list[Difference]:
    """Return every member of ``wanted`` that is missing or different in ``described``.

    Ignored are members that AWS adds itself, the order of name-value pairs, and the type of a number. Values of environments are not
    shown.

    :param wanted: A request, or a part of it.
    :param described: The same part of a Describe answer.
    :param path: The name of this part.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(described, Mapping):
            return [_difference(path, wanted, described)] if wanted else []
        found = []
        for name, value in wanted.items():
            found += find_differences(value, described.get(name), f"{path}.{name}" if path else name)
        if described.get(_HIDDEN) and _HIDDEN not in wanted:
            # SageMaker never adds an environment itself.
            found.append(_not_requested(f"{path}.{_HIDDEN}"))
        if path.endswith(_HIDDEN):
            found += [_not_requested(f"{path}.{name}") for name in described if name not in wanted]
        return found
    if isinstance(wanted, list | tuple):
        items = list(described) if isinstance(described, list | tuple) else []
        if len(wanted) != len(items):
            return [_difference(path, wanted, described)] if wanted or items else []
        return [
            each
            for index, (one, other) in enumerate(zip(_in_order(wanted), _in_order(items), strict=True))
            for each in find_differences(one, other, f"{path}[{index}]")
        ]
    return [] if wanted == described else [_difference(path, wanted, described)]


#: Members that AWS adds to a request itself; None stands for any value. Documented for DescribeModel and DescribeEndpointConfig; that
#: ``ModelDataSource`` stands beside ``ModelDataUrl``, and that timeouts are absent, is assumed. Alarms: PutMetricAlarm documentation.
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
    """Return a line for every member of ``described`` that ``wanted`` does not contain.

    Members that AWS adds itself are ignored. The two are equal when neither this function nor :func:`differences` returns a line.

    :param wanted: A request, or a part of it.
    :param described: The same part of a Describe answer.
    :param members: The members to compare at this level (default: all), as an answer has more members than its request.
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
                lines.append(f"{where} is {_shown(value)!r}, but not requested")
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


def _difference(path: str, wanted: Any, described: Any) -> Difference:
    if _HIDDEN in path:
        return Difference(path, "***", "***", f"{path} differs")
    shown = repr(_shown(described)), repr(_shown(wanted))
    return Difference(path, *shown, f"{path} is {shown[0]}, requested {shown[1]}")


def _not_requested(path: str) -> Difference:
    return Difference(path, "***", "None", f"{path} is set, but not requested")


def _shown(value: Any) -> Any:
    """Return a value for display, with the values of environments hidden."""
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
