"""Schedules of scheduled actions: ``at(…)``, ``rate(…)`` and ``cron(…)``.

https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_FORM = re.compile(r"(at|rate|cron)\((.*)\)")
_RATE = re.compile(r"([1-9]\d*) (minute|hour|day)(s?)")
_FIELDS = 6
# Sunday is 1 with AWS, 0 with everybody else. What follows a slash or # is not a day.
_DAY = re.compile(r"(?<![/#\d])([1-7])(?![\d])")


class ScheduleError(ValueError):
    """The expression is not a schedule; the message says why."""


@dataclass(frozen=True)
class Schedule:
    """A schedule.

    :param text: ``at(2026-01-31T08:00:00)``, ``rate(5 minutes)`` or ``cron(0 8 ? * MON-FRI *)``.
    :param timezone: IANA name of the time zone in which ``at`` and ``cron`` are meant.
    :param begin: Its first time; of ``rate``: from when it counts.
    :param end: Its last time.
    :raises ScheduleError: The text is not a schedule.
    """

    text: str
    timezone: str = "UTC"
    begin: datetime | None = None
    end: datetime | None = None

    def __post_init__(self) -> None:
        self.next(datetime.now(UTC))

    def next(self, after: datetime) -> datetime | None:
        """Return the first time after another one, in UTC; None if there is none any more.

        Of ``rate`` without a beginning: counted from ``after``.
        """
        match = _FORM.fullmatch(self.text)
        if match is None:
            raise ScheduleError(f"Schedule expression {self.text} must be at(…), rate(…) or cron(…)")
        kind, inner = match.groups()
        when = {"at": self._at, "rate": self._rate, "cron": self._cron}[kind]
        found = when(inner, after)
        if found is None or (self.end and found > self.end):
            return None
        return found

    def _at(self, inner: str, after: datetime) -> datetime | None:
        try:
            time = datetime.strptime(inner, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=self._zone()).astimezone(UTC)
        except ValueError as error:
            raise ScheduleError(f"at({inner}) must have the form at(yyyy-mm-ddThh:mm:ss)") from error
        return time if time > after and not (self.begin and time < self.begin) else None

    def _rate(self, inner: str, after: datetime) -> datetime:
        match = _RATE.fullmatch(inner)
        if match is None or (match[3] == "s") != (match[1] != "1"):
            raise ScheduleError(f"rate({inner}) must have the form rate(5 minutes) or rate(1 hour)")
        every = timedelta(**{f"{match[2]}s": int(match[1])})
        begin = self.begin or after
        if begin > after:
            return begin
        return begin + every * ((after - begin) // every + 1)

    def _cron(self, inner: str, after: datetime) -> datetime | None:
        # A dependency of Airflow itself. Imported here: half of the local AWS's users never schedule.
        from croniter import (  # type: ignore[import-untyped]
            CroniterBadDateError,
            CroniterError,
            croniter,
        )

        fields = inner.split()
        if len(fields) != _FIELDS:
            raise ScheduleError(f"cron({inner}) must have six fields: minutes hours day month weekday year")
        minutes, hours, day, month, weekday, year = fields
        if (day == "?") == (weekday == "?"):
            # "If you specify a value in one of the fields, you must use a ? in the other"
            raise ScheduleError(f"cron({inner}) must have ? as the day of the month or of the week, not both")
        weekday = _DAY.sub(lambda match: str(int(match[1]) - 1), weekday)
        if weekday_last := re.fullmatch(r"(\d)L", weekday):
            weekday = f"L{weekday_last[1]}"
        start = max(after, self.begin - timedelta(seconds=1)) if self.begin else after
        try:
            found: datetime = croniter(
                f"{minutes} {hours} {day} {month} {weekday} 0 {year}", start.astimezone(self._zone())
            ).get_next(datetime)
        except CroniterBadDateError:
            return None
        except (CroniterError, ValueError) as error:
            raise ScheduleError(f"cron({inner}) is not a schedule: {error}") from error
        return found.astimezone(UTC)

    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ScheduleError(f"The time zone {self.timezone} is not known") from error
