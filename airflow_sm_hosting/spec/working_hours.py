"""Up in the morning, down at night, as one object, which becomes two scheduled actions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import Problems, check_integer, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rendered import as_integer, as_string
from airflow_sm_hosting.spec.scaling_rules import (
    WORKING_HOURS as KIND,
    WORKING_HOURS_ENDINGS,
    check_action_name,
)
from airflow_sm_hosting.spec.schedule import check_days_of_week, check_time_of_day, check_timezone, daily
from airflow_sm_hosting.spec.templated import TemplatedInt, TemplatedStr


class WorkingHours(Reference):
    """Up in the morning, down at night: two scheduled actions, for ``scheduled_actions=``.

    From ``start`` on the task's ``min_capacity`` and ``max_capacity`` hold, from ``end`` on the night's. The days on which it does not start
    stay as the night before them, so that with ``MON-FRI`` the weekend is a night. A minimum of 0 is for asynchronous endpoints and
    inference components.

    :param start: Time of day at which it goes up, ``"07:00"``. (templated)
    :param end: Time of day at which it goes down, later on the same day. (templated)
    :param timezone: IANA time zone of both; daylight saving is AWS's matter. (templated)
    :param days: The days, as cron's field for days of the week has them (default: ``MON-FRI``; ``*`` is every day). (templated)
    :param night_capacity: Minimum capacity at night, at most that of the day (default: 0). (templated)
    :param night_max_capacity: Maximum capacity at night, from ``night_capacity`` to the day's maximum (default: ``night_capacity``, so that
        nothing scales out or wakes at night). (templated)
    :param name: Beginning of the names of the two actions, ``<name>-start`` and ``<name>-end`` (default: ``working-hours``). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
    """

    def __init__(
        self,
        *,
        start: TemplatedStr,
        end: TemplatedStr,
        timezone: TemplatedStr,
        days: TemplatedStr = "MON-FRI",
        night_capacity: TemplatedInt = 0,
        night_max_capacity: TemplatedInt | None = None,
        name: TemplatedStr = "working-hours",
    ) -> None:
        super().__init__(
            KIND,
            Start=start,
            End=end,
            Timezone=timezone,
            Days=days,
            NightCapacity=night_capacity,
            NightMaxCapacity=night_max_capacity,
            Name=name,
        )
        _check(self, KIND)


def _check(hours: Mapping[str, Any], where: str) -> None:
    """Check what is literal."""
    problems = Problems()
    start, end = hours.get("Start"), hours.get("End")
    low, high = hours.get("NightCapacity"), hours.get("NightMaxCapacity")
    with problems:
        check_time_of_day(f"{where}: start", start)
    with problems:
        check_time_of_day(f"{where}: end", end)
    with problems:
        check_timezone(f"{where}: timezone", hours.get("Timezone"))
    with problems:
        check_days_of_week(f"{where}: days", hours.get("Days"))
    with problems:
        check_integer(f"{where}: night_capacity", low, 0)
    if high is not None:
        with problems:
            check_integer(f"{where}: night_max_capacity", high, 0)
    with problems:
        check_action_name(f"{where}: name", hours.get("Name"))
    problems.tell()
    if not is_rendered_later(start) and not is_rendered_later(end) and str(start) >= str(end):
        raise invalid(
            f"{where}: end",
            end,
            f"a time of day after the start, {start}; two actions of your own cross midnight",
        )
    if isinstance(low, int) and isinstance(high, int) and high < low:
        raise invalid(f"{where}: night_max_capacity", high, f"at least night_capacity, {low}")


def check_working_hours(where: str, actions: Any, *, min_capacity: Any, max_capacity: Any) -> None:
    """Check working hours together with the capacities of the day, as far as these are literal.

    :param where: The field.
    :param actions: The scheduled actions of the task; others among them are skipped.
    :param min_capacity: The minimum by day; None if none is given.
    :param max_capacity: The maximum by day.
    :raises InvalidSpecError: When the night's capacity is more than the day's, or the day's minimum is not known.
    """
    if isinstance(actions, str | Mapping) or not isinstance(actions, Iterable):
        return
    for action in actions:
        if kind_of(action) != KIND:
            continue
        if min_capacity is None:
            raise InvalidSpecError(
                f"{where} has WorkingHours, and min_capacity is not given; allowed: with min_capacity=, to which it goes up in the morning."
            )
        low, high = action.get("NightCapacity"), action.get("NightMaxCapacity")
        for name, night, of_day, day in (
            ("night_capacity", low, "min_capacity", min_capacity),
            ("night_max_capacity", high, "max_capacity", max_capacity),
        ):
            if isinstance(night, int) and isinstance(day, int) and night > day:
                raise invalid(f"{where}: {name}", night, f"at most the {of_day} by day, {day}")


def actions_of(
    hours: Mapping[str, Any], *, minimum: int | None, maximum: int, where: str
) -> list[dict[str, Any]]:
    """Return the two scheduled actions as PutScheduledAction takes them, without what is scaled.

    :param hours: Rendered :class:`WorkingHours`.
    :param minimum: The minimum capacity by day.
    :param maximum: The maximum capacity by day.
    :param where: The field, for messages.
    :raises InvalidSpecError: For a value that can never work.
    """
    low = as_integer(f"{where}: night_capacity", hours.get("NightCapacity"), 0)
    high = hours.get("NightMaxCapacity")
    most = low if high is None else as_integer(f"{where}: night_max_capacity", high, 0)
    given = {
        member: as_string(f"{where}: {member.lower()}", hours.get(member))
        for member in ("Start", "End", "Timezone", "Days", "Name")
    }
    typed = {**hours, **given, "NightCapacity": low, "NightMaxCapacity": most}
    _check(typed, where)
    check_working_hours(where, [typed], min_capacity=minimum, max_capacity=maximum)

    def action(ending: str, time_of_day: str, least: int | None, greatest: int) -> dict[str, Any]:
        return {
            "ScheduledActionName": f"{given['Name']}{ending}",
            "Schedule": daily(time_of_day, given["Days"]),
            "Timezone": given["Timezone"],
            "ScalableTargetAction": {"MinCapacity": least, "MaxCapacity": greatest},
        }

    morning, night = WORKING_HOURS_ENDINGS
    return [action(morning, given["Start"], minimum, maximum), action(night, given["End"], low, most)]
