"""The schedule of a scheduled action: ``at(…)``, ``rate(…)`` or ``cron(…)``, its time zone, start and end."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.spec.checks import check_text, invalid, is_rendered_later

_FORMS = "at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(six fields)"
_UNITS = ("minute", "minutes", "hour", "hours", "day", "days")
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_DAYS = "SUN MON TUE WED THU FRI SAT".split()

#: For each field: name, minimum, maximum, names of the values from the minimum on, and other allowed values:
#: EventBridge user guide, "Cron expressions reference", to which "Schedule recurring scaling actions using Application Auto Scaling" leads.
_CRON_FIELDS: tuple[tuple[str, int, int, list[str], str], ...] = (
    ("minutes", 0, 59, [], ""),
    ("hours", 0, 23, [], ""),
    ("day of month", 1, 31, [], r"\?|L|L-\d{1,2}|LW|\d{1,2}W"),
    ("month", 1, 12, _MONTHS, ""),
    ("day of week", 1, 7, _DAYS, r"\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5])"),
    ("year", 1970, 2199, [], ""),
)


def check_schedule(where: str, schedule: Any) -> None:
    """Check a schedule expression (PutScheduledAction, Schedule).

    :raises InvalidSpecError: For a wrong part; the message names it.
    """
    check_text(where, schedule, pattern=r"(?s)(at|rate|cron)\(.+\)", max_length=1600, allowed=_FORMS)
    if is_rendered_later(schedule):
        return
    kind, _, rest = schedule.partition("(")
    inside = rest[:-1]
    if kind == "at":
        _check_at(where, schedule, inside)
    elif kind == "rate":
        value, _, unit = inside.partition(" ")
        if not re.fullmatch(r"[1-9]\d*", value) or unit not in _UNITS:
            raise invalid(
                where, schedule, f"rate(value unit): a whole number from 1, and one of {', '.join(_UNITS)}"
            )
    else:
        _check_cron(where, schedule, inside.split())


def check_timezone(where: str, timezone: Any) -> None:
    """Check the name of a time zone (PutScheduledAction, Timezone: names of the IANA data base)."""
    if is_rendered_later(timezone):
        return
    from zoneinfo import ZoneInfo

    allowed = "a name of the IANA time zone database, such as 'Europe/Berlin' or 'Etc/GMT+9'"
    if not isinstance(timezone, str):
        raise invalid(where, timezone, allowed)
    try:
        ZoneInfo(timezone)
    except (ValueError, LookupError, OSError):  # a path, a folder, or nothing of that name
        raise invalid(where, timezone, allowed) from None


def moment(where: str, value: Any) -> datetime:
    """Return a time in AWS's form: whole seconds, and UTC if it has no time zone (PutScheduledAction).

    :param value: A datetime, or one in ISO format.
    """
    allowed = "a datetime, or a string in ISO format"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise invalid(where, value, allowed) from None
    if not isinstance(value, datetime):
        raise invalid(where, value, allowed)
    # botocore reads a time without a zone as the worker's local time.
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).replace(microsecond=0)


def check_span(start_name: str, start: Any, end_name: str, end: Any) -> None:
    """Check that the given start and end are times, and in that order."""
    begin, finish = (
        None if value is None or is_rendered_later(value) else moment(name, value)
        for name, value in ((start_name, start), (end_name, end))
    )
    if begin and finish and begin >= finish:
        raise invalid(end_name, end, f"a time after the start, {begin.isoformat()}")


def check_time_of_day(where: str, value: Any) -> None:
    """Check a time of day: hours and minutes, ``"07:30"``."""
    check_text(
        where, value, pattern=r"([01]\d|2[0-3]):[0-5]\d", allowed="hours and minutes, from '00:00' to '23:59'"
    )


def check_days_of_week(where: str, days: Any) -> None:
    """Check days of the week, as the field of a cron expression has them: ``MON-FRI``, ``SAT,SUN`` or ``*``."""
    if is_rendered_later(days):
        return
    _, low, high, names, _ = _CRON_FIELDS[4]
    if not isinstance(days, str) or not all(
        _is_cron_part(part, low, high, names) for part in days.split(",")
    ):
        raise invalid(where, days, "days of the week as cron has them, such as 'MON-FRI', 'SAT,SUN' or '*'")


def daily(time_of_day: str, days: str) -> str:
    """Return the schedule of a time of day on days of the week."""
    hours, minutes = time_of_day.split(":")
    return f"cron({int(minutes)} {int(hours)} ? * {days} *)"


def _check_at(where: str, schedule: str, inside: str) -> None:
    try:
        datetime.strptime(inside, "%Y-%m-%dT%H:%M:%S")
        right = len(inside) == len("yyyy-mm-ddThh:mm:ss")
    except ValueError:
        right = False
    if not right:
        raise invalid(where, schedule, "at(yyyy-mm-ddThh:mm:ss) with a valid time; give its zone as timezone")


def _check_cron(where: str, schedule: str, fields: list[str]) -> None:
    if len(fields) != len(_CRON_FIELDS):
        titles = ", ".join(name for name, *_ in _CRON_FIELDS)
        raise invalid(where, schedule, f"cron with six fields ({titles}), not {len(fields)}")
    for field, (name, low, high, names, alone) in zip(fields, _CRON_FIELDS, strict=True):
        if alone and re.fullmatch(alone, field.upper()):
            continue
        if not all(_is_cron_part(part, low, high, names) for part in field.split(",")):
            words = f" or {names[0]} to {names[-1]}" if names else ""
            raise invalid(
                where,
                schedule,
                f"cron with {name} (here {field!r}) from {low} to {high}{words}, with the special characters "
                "of this field",
            )
    if (fields[2] == "?") == (fields[4] == "?"):
        raise invalid(where, schedule, "cron with '?' as exactly one of day of month and day of week")


def _is_cron_part(part: str, low: int, high: int, names: list[str]) -> bool:
    """Return whether a part is ``*``, a value, a range, or one of them in steps."""
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdecimal() and int(step) > 0):
        return False
    if span == "*":
        return True
    values = [_cron_value(word, low, names) for word in span.split("-")]
    return len(values) in (1, 2) and all(value is not None and low <= value <= high for value in values)


def _cron_value(word: str, low: int, names: list[str]) -> int | None:
    if word.upper() in names:
        return low + names.index(word.upper())
    return int(word) if word.isascii() and word.isdecimal() else None
