"""Application Auto Scaling's arithmetic: what capacity a policy asks for, and which of several policies wins.

https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-target-tracking.html and
https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-step-scaling-policies.html
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_ADJUSTMENT_TYPES = ("ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity")
# A metric of 140.00000000000003 with a target of 70 asks for 2, not 3.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Wish:
    """What one policy asks for.

    :param policy: Its name.
    :param capacity: The capacity that it wants; the current one where it would leave things as they are.
    :param tracks: Whether it is a target-tracking policy that may scale in.
    :param alarm: The alarm that triggered it; None where none did.
    """

    policy: str
    capacity: int
    tracks: bool = False
    alarm: str | None = None


def chosen(current: int, wishes: Iterable[Wish]) -> Wish | None:
    """Return the wish that is done, or None.

    "Application Auto Scaling gives precedence to the policy that provides the largest capacity for both scale out and
    scale in"; target-tracking policies scale in only when all of them are ready to.
    """
    wishes = list(wishes)
    largest = max(wishes, key=lambda wish: wish.capacity, default=None)
    if largest and largest.capacity > current:
        return largest
    blocked = any(wish.tracks and wish.capacity >= current for wish in wishes)
    smaller = [wish for wish in wishes if wish.capacity < current and not (wish.tracks and blocked)]
    return max(smaller, key=lambda wish: wish.capacity, default=None)


def tracked_capacity(current: int, value: float, target: float) -> int:
    """Return the capacity that brings a metric to its target, the load being as it is."""
    return math.ceil(current * value / target - _ROUNDING)


def step_capacity(
    current: int, difference: float, above: bool, configuration: Mapping[str, Any]
) -> int | None:
    """Return the capacity that a step policy asks for, None where no step is for such a breach.

    :param current: The capacity now.
    :param difference: The metric less the alarm's threshold.
    :param above: Whether the alarm is about values above its threshold.
    :param configuration: A ``StepScalingPolicyConfiguration``.
    """
    for step in configuration.get("StepAdjustments", ()):
        low, high = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        # "the lower bound is inclusive and the upper bound is exclusive" above the threshold, else the other way round.
        if (low <= difference < high) if above else (low < difference <= high):
            return _adjusted(current, step["ScalingAdjustment"], configuration)
    return None


def _adjusted(current: int, adjustment: int, configuration: Mapping[str, Any]) -> int:
    match configuration["AdjustmentType"]:
        case "ExactCapacity":
            return adjustment
        case "ChangeInCapacity":
            return current + adjustment
    change = current * adjustment / 100
    # "Values greater than 1 are rounded down, between 0 and 1 to 1", and the same away from and towards 0 below it.
    rounded = math.copysign(max(1, math.floor(abs(change) + _ROUNDING)), change) if change else 0
    least = configuration.get("MinAdjustmentMagnitude")
    if least and adjustment:
        rounded = math.copysign(max(abs(rounded), least), adjustment)
    return current + int(rounded)


def aggregated(values: Sequence[float], how: str | None) -> float:
    """Return the metric that a step policy looks at, from the data points of the alarm (``MetricAggregationType``)."""
    match how:
        case "Minimum":
            return min(values)
        case "Maximum":
            return max(values)
    return sum(values) / len(values)


def step_problem(configuration: Mapping[str, Any]) -> str | None:
    """Return why a step policy cannot be put, or None: API_StepAdjustment.html."""
    if configuration.get("AdjustmentType") not in _ADJUSTMENT_TYPES:
        return f"AdjustmentType must be one of {', '.join(_ADJUSTMENT_TYPES)}"
    if (
        configuration.get("MinAdjustmentMagnitude") is not None
        and configuration["AdjustmentType"] != "PercentChangeInCapacity"
    ):
        return "MinAdjustmentMagnitude can only be used with PercentChangeInCapacity"
    steps = configuration.get("StepAdjustments") or []
    if not steps:
        return "At least one step adjustment is required"
    bounds = []
    for step in steps:
        low, high = step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")
        if low is None and high is None:
            return "The upper and lower bound cannot both be null in the same step adjustment"
        bounds.append((-math.inf if low is None else low, math.inf if high is None else high))
    if any(low >= high for low, high in bounds):
        return "The lower bound of a step adjustment must be below its upper bound"
    bounds.sort()
    for (_, high), (low, _) in itertools.pairwise(bounds):
        if high != low:
            return f"Step adjustments must not have {'an overlap' if high > low else 'a gap'}"
    if bounds[0][0] < 0 and bounds[0][0] != -math.inf:
        return "One step adjustment must have a null lower bound, since one has a negative lower bound"
    if bounds[-1][1] > 0 and bounds[-1][1] != math.inf:
        return "One step adjustment must have a null upper bound, since one has a positive upper bound"
    return None
