"""Working hours: two scheduled actions out of one object, and what cannot be one."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import WorkingHours
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.scaling_rules import check_actions
from airflow_sm_hosting.spec.working_hours import actions_of, check_working_hours

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


@pytest.mark.parametrize(
    "given", [None, "{{ actions }}", {"ScheduledActionName": "a"}, [{"ScheduledActionName": "a"}]]
)
def test_others_are_no_working_hours(given: Any) -> None:
    check_working_hours("scheduled_actions", given, min_capacity=None, max_capacity=None)
