"""Working hours: two scheduled actions out of one object, and what cannot be one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting import WorkingHours
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.autoscaling.schedules import Schedule
from airflow_sm_hosting.spec.scaling_rules import check_actions
from airflow_sm_hosting.spec.working_hours import actions_of

DAY: dict[str, Any] = {"start": "07:00", "end": "20:00", "timezone": "Europe/Berlin"}


def actions(
    minimum: int | None = 1, maximum: int = 4, rendered: dict[str, Any] | None = None, **options: Any
) -> list[dict[str, Any]]:
    hours = {**WorkingHours(**{**DAY, **options}), **(rendered or {})}
    return actions_of(hours, minimum=minimum, maximum=maximum, where="scheduled_actions[0]")


def test_it_goes_up_in_the_morning_and_down_at_night() -> None:
    assert actions() == [
        {
            "ScheduledActionName": "working-hours-start",
            "Schedule": "cron(0 7 ? * MON-FRI *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 4},
        },
        {
            "ScheduledActionName": "working-hours-end",
            "Schedule": "cron(0 20 ? * MON-FRI *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 0},
        },
    ]
    night = actions(rendered={"NightMaxCapacity": "2"}, night_capacity=1, days="*", name="shift")[1]
    assert (night["ScheduledActionName"], night["Schedule"]) == ("shift-end", "cron(0 20 ? * * *)")
    assert night["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 2}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": "7:00"}, "start is '7:00'; allowed: hours and minutes"),
        ({"end": "24:00"}, "end is '24:00'; allowed: hours and minutes"),
        ({"end": "07:00"}, "end is '07:00'; allowed: a time of day after the start, 07:00"),
        ({"timezone": "Europe/Berln"}, "timezone is 'Europe/Berln'; allowed: a name of the IANA"),
        ({"days": "MON-FRY"}, "days is 'MON-FRY'; allowed: days of the week"),
        ({"days": "0-8"}, "days is '0-8'"),
        ({"days": "?"}, "days is '\\?'"),
        ({"night_capacity": -1}, "night_capacity is -1"),
        ({"night_capacity": 2, "night_max_capacity": 1}, "night_max_capacity is 1; allowed: at least night_capacity, 2"),
        ({"name": "a:b"}, "name is 'a:b'"),
    ],
)  # fmt: skip
def test_what_can_never_work_is_an_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        WorkingHours(**{**DAY, **options})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"minimum": None}, "WorkingHours, and min_capacity is not given"),
        (
            {"rendered": {"NightCapacity": "2"}},
            "night_capacity is 2; allowed: at most the min_capacity by day, 1",
        ),
        (
            {"rendered": {"NightMaxCapacity": "5"}},
            "night_max_capacity is 5; allowed: at most the max_capacity by day, 4",
        ),
    ],
)
def test_the_night_is_at_most_the_day(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        actions(**options)


def test_two_of_one_name_are_an_error_and_what_is_rendered_later_is_not_checked() -> None:
    with pytest.raises(InvalidSpecError, match="'working-hours-start' twice"):
        check_actions("scheduled_actions", [WorkingHours(**DAY), WorkingHours(**DAY)])
    late = WorkingHours(start="{{ a }}", end="{{ b }}", timezone="{{ c }}", days="{{ d }}", name="{{ e }}")
    check_actions("scheduled_actions", [late, late])


TIMES = st.times().map(lambda time: time.strftime("%H:%M"))
DAYS = "SUN MON TUE WED THU FRI SAT".split()


@given(st.tuples(TIMES, TIMES).map(sorted), st.sets(st.sampled_from(DAYS), min_size=1), st.data())
def test_the_schedules_fall_on_the_given_days_and_times(
    hours: list[str], days: set[str], data: st.DataObject
) -> None:
    start, end = hours
    if start == end:
        return
    zone = data.draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
    found = actions(start=start, end=end, timezone=zone, days=",".join(sorted(days)))
    # In January and July no clock is changed.
    now = datetime(2026, data.draw(st.sampled_from([1, 7])), 10, 12, tzinfo=UTC)
    for action, time in zip(found, (start, end), strict=True):
        at = Schedule(action["Schedule"], action["Timezone"]).next(now)
        assert at is not None
        local = at.astimezone(ZoneInfo(zone))
        assert local.strftime("%H:%M") == time
        assert local.strftime("%a").upper() in days
        assert at - now <= timedelta(days=8)
