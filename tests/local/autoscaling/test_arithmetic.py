from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting.local.autoscaling import arithmetic as scaling
from airflow_sm_hosting.local.autoscaling.arithmetic import DesiredCapacity
from airflow_sm_hosting.local.autoscaling.schedules import Schedule, ScheduleError

# Target tracking


@pytest.mark.parametrize(
    ("current", "value", "target", "capacity"),
    [
        (1, 140, 70, 2),
        (1, 141, 70, 3),
        (2, 70, 70, 2),
        (2, 70.00000000000001, 70, 2),
        (4, 35, 70, 2),
        (4, 1, 70, 1),
        (4, 0, 70, 0),
        (3, 100, 30, 10),
        (10, 0.9, 0.7, 13),
    ],
)
def test_target_tracking_is_proportional(current: int, value: float, target: float, capacity: int) -> None:
    assert scaling.tracked_capacity(current, value, target) == capacity


def test_the_largest_capacity_wins_out_and_in() -> None:
    assert scaling.chosen(2, [DesiredCapacity("a", 3), DesiredCapacity("b", 5)]) == DesiredCapacity("b", 5)
    assert scaling.chosen(2, [DesiredCapacity("a", 1), DesiredCapacity("b", 3)]) == DesiredCapacity("b", 3)
    assert scaling.chosen(5, [DesiredCapacity("a", 1), DesiredCapacity("b", 3)]) == DesiredCapacity("b", 3)
    assert scaling.chosen(5, [DesiredCapacity("a", 5)]) is None
    assert scaling.chosen(5, []) is None


def test_target_tracking_scales_in_only_when_all_such_policies_would() -> None:
    ready, staying = DesiredCapacity("a", 1, tracks=True), DesiredCapacity("b", 3, tracks=True)
    assert scaling.chosen(3, [ready, staying]) is None
    assert scaling.chosen(3, [ready, DesiredCapacity("b", 2, tracks=True)]) == DesiredCapacity(
        "b", 2, tracks=True
    )
    # "if the step scaling policy initiates a scale-in activity before the target tracking policy is ready … it will not
    # be blocked": API_PutScalingPolicy.html
    assert scaling.chosen(3, [DesiredCapacity("step", 2), staying]) == DesiredCapacity("step", 2)


# Steps


def steps(*rows: Any, kind: str = "ChangeInCapacity", **more: Any) -> Any:
    names = ("MetricIntervalLowerBound", "MetricIntervalUpperBound")
    return {
        "AdjustmentType": kind,
        "StepAdjustments": [
            {
                **{name: bound for name, bound in zip(names, row, strict=False) if bound is not None},
                "ScalingAdjustment": row[2],
            }
            for row in rows
        ],
        **more,
    }


OUT = steps((0, 10, 1), (10, None, 3))
IN = steps((-10, 0, -1), (None, -10, -2))


@pytest.mark.parametrize(
    ("configuration", "difference", "above", "capacity"),
    [
        # Above the threshold the lower bound is inclusive, below it the upper one.
        (OUT, 0, True, 6),
        (OUT, 9.99, True, 6),
        (OUT, 10, True, 8),
        (OUT, -0.01, True, None),
        (IN, 0, False, 4),
        (IN, -9.99, False, 4),
        (IN, -10, False, 3),
        (IN, 0.01, False, None),
        (steps((0, None, 7), kind="ExactCapacity"), 1, True, 7),
        (steps((0, None, 0), kind="ExactCapacity"), 1, True, 0),
    ],
)
def test_steps(configuration: Any, difference: float, above: bool, capacity: int | None) -> None:
    assert scaling.step_capacity(5, difference, above, configuration) == capacity


@pytest.mark.parametrize(
    ("current", "percent", "least", "capacity"),
    [
        # AWS's own examples of rounding: 12.7 is 12, .67 is 1, -.58 is -1, -6.67 is -6.
        (127, 10, None, 139),
        (67, 1, None, 68),
        (58, -1, None, 57),
        (667, -1, None, 661),
        (4, 25, 2, 6),
        (4, -25, 2, 2),
        (40, 25, 2, 50),
        (0, 50, None, 0),
        (0, 50, 2, 2),
        (10, 0, 2, 10),
    ],
)
def test_percentages(current: int, percent: int, least: int | None, capacity: int) -> None:
    configuration = steps((0, None, percent), kind="PercentChangeInCapacity")
    if least:
        configuration["MinAdjustmentMagnitude"] = least
    assert scaling.step_capacity(current, 0, True, configuration) == capacity


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        (OUT, None),
        (IN, None),
        (steps((None, -5, -2), (-5, 5, 0), (5, None, 2)), None),
        (steps((0, None, 1), kind="PercentChangeInCapacity", MinAdjustmentMagnitude=1), None),
        (steps(), "At least one"),
        (steps((None, None, 1)), "cannot both be null"),
        (steps((0, 10, 1), (5, None, 1)), "an overlap"),
        (steps((0, 10, 1), (11, None, 1)), "a gap"),
        (steps((0, None, 1), (0, None, 2)), "an overlap"),
        (steps((10, 0, 1)), "below its upper bound"),
        (steps((-10, 0, 1)), "null lower bound"),
        (steps((0, 10, 1)), "null upper bound"),
        (steps((0, None, 1), kind="Whatever"), "AdjustmentType must be one of"),
        (steps((0, None, 1), MinAdjustmentMagnitude=1), "MinAdjustmentMagnitude"),
    ],
)
def test_step_policies_that_cannot_be(configuration: Any, told: str | None) -> None:
    problem = scaling.step_problem(configuration)
    assert (problem is None) == (told is None)
    assert (told or "") in (problem or "")


@pytest.mark.parametrize(("how", "value"), [(None, 2), ("Average", 2), ("Minimum", 1), ("Maximum", 3)])
def test_aggregation(how: str | None, value: int) -> None:
    assert scaling.aggregated([1, 2, 3], how) == value


# Schedules


def utc(text: str) -> Any:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NOW = utc("2026-03-28T12:00:00")


@pytest.mark.parametrize(
    ("text", "more", "times"),
    [
        ("at(2026-03-28T13:00:00)", {}, ["2026-03-28T13:00:00"]),
        ("at(2026-03-28T13:00:00)", {"timezone": "America/New_York"}, ["2026-03-28T17:00:00"]),
        ("at(2026-03-28T12:00:00)", {}, []),
        ("at(2026-03-28T13:00:00)", {"end": utc("2026-03-28T12:30:00")}, []),
        ("rate(5 minutes)", {}, ["2026-03-28T12:05:00", "2026-03-28T12:10:00"]),
        (
            "rate(1 hour)",
            {"begin": utc("2026-03-28T11:15:00")},
            ["2026-03-28T12:15:00", "2026-03-28T13:15:00"],
        ),
        (
            "rate(2 days)",
            {"begin": utc("2026-04-01T00:00:00")},
            ["2026-04-01T00:00:00", "2026-04-03T00:00:00"],
        ),
        ("rate(1 hour)", {"end": utc("2026-03-28T13:30:00")}, ["2026-03-28T13:00:00"]),
        ("cron(0/15 12 * * ? *)", {}, ["2026-03-28T12:15:00", "2026-03-28T12:30:00"]),
        # AWS's Sunday is 1; the 28th is a Saturday.
        ("cron(0 8 ? * 1 *)", {}, ["2026-03-29T08:00:00", "2026-04-05T08:00:00"]),
        ("cron(0 8 ? * 2-6 *)", {}, ["2026-03-30T08:00:00", "2026-03-31T08:00:00"]),
        ("cron(0 8 ? * MON-FRI *)", {}, ["2026-03-30T08:00:00", "2026-03-31T08:00:00"]),
        ("cron(0 8 ? * 6#2 *)", {}, ["2026-04-10T08:00:00", "2026-05-08T08:00:00"]),
        ("cron(0 8 ? * 6L *)", {}, ["2026-04-24T08:00:00", "2026-05-29T08:00:00"]),
        ("cron(0 8 L * ? *)", {}, ["2026-03-31T08:00:00", "2026-04-30T08:00:00"]),
        ("cron(0 8 1 1 ? 2027)", {}, ["2027-01-01T08:00:00"]),
        ("cron(0 8 1 1 ? 2020)", {}, []),
        # Summer time begins on the 29th: 8 o'clock is one hour earlier.
        (
            "cron(0 8 * * ? *)",
            {"timezone": "Europe/Berlin"},
            ["2026-03-29T06:00:00", "2026-03-30T06:00:00"],
        ),
        ("cron(0 8 * * ? *)", {"begin": utc("2026-04-01T08:00:00")}, ["2026-04-01T08:00:00"]),
    ],
)
def test_schedules(text: str, more: dict[str, Any], times: list[Any]) -> None:
    schedule = Schedule(text, **more)
    found, after = [], NOW
    for _ in times or [None]:
        after = schedule.next(after)
        found.append(after)
    assert [time and time.replace(tzinfo=None).isoformat() for time in found] == (times or [None])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every day",
        "at(tomorrow)",
        "at(2026-02-30T00:00:00)",
        "rate(0 minutes)",
        "rate(5 minute)",
        "rate(1 minutes)",
        "rate(5 weeks)",
        "cron(0 8 * * *)",
        "cron(0 8 * * * *)",
        "cron(0 8 ? * ? *)",
        "cron(99 8 * * ? *)",
        "cron(x 8 * * ? *)",
    ],
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(ScheduleError):
        Schedule(text)


def test_an_unknown_time_zone() -> None:
    with pytest.raises(ScheduleError, match="Mars/Olympus"):
        Schedule("cron(0 8 * * ? *)", "Mars/Olympus")
