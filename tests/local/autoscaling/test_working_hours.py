"""Working hours on the clock of the local AWS: the schedules fall on the given days and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st

from airflow_sm_hosting import WorkingHours
from airflow_sm_hosting.local.autoscaling.schedules import Schedule
from airflow_sm_hosting.spec.working_hours import actions_of

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
    found = actions_of(
        WorkingHours(start=start, end=end, timezone=zone, days=",".join(sorted(days))),
        minimum=1,
        maximum=4,
        where="scheduled_actions[0]",
    )
    # In January and July no clock is changed.
    now = datetime(2026, data.draw(st.sampled_from([1, 7])), 10, 12, tzinfo=UTC)
    for action, time in zip(found, (start, end), strict=True):
        at = Schedule(action["Schedule"], action["Timezone"]).next(now)
        assert at is not None
        local = at.astimezone(ZoneInfo(zone))
        assert local.strftime("%H:%M") == time
        assert local.strftime("%a").upper() in days
        assert at - now <= timedelta(days=8)
