from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.control import LocalAwsError
from airflow_sm_hosting.local.clock import Clock, RealClock, VirtualClock, make_clock
from tests.local.conftest import FOREIGN_IMAGE, ROLE, refusal_of, wait_until

START = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(START)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_a_virtual_clock_stands_still(clock: VirtualClock) -> None:
    assert clock.now() == clock.now() == START
    clock.advance(0.25)
    assert clock.now() == after(0.25)


def test_a_virtual_clock_begins_at_a_full_hour() -> None:
    began = VirtualClock().now()
    assert (began.minute, began.second, began.microsecond) == (0, 0, 0)
    assert timedelta(0) <= datetime.now(UTC) - began < timedelta(hours=1, seconds=1)


def test_timers_are_called_in_the_order_of_time_and_then_of_age(clock: VirtualClock) -> None:
    told: list[tuple[str, datetime]] = []

    def tell(what: str) -> None:
        told.append((what, clock.now()))

    clock.call_later(3, lambda: tell("late"))
    clock.call_later(1, lambda: tell("first"))
    clock.call_later(1, lambda: tell("second"))
    clock.call_later(1, lambda: clock.call_later(0.5, lambda: tell("nested")))
    clock.call_later(3.001, lambda: tell("too late"))
    clock.advance(3)
    assert told == [
        ("first", after(1)),
        ("second", after(1)),
        ("nested", after(1.5)),
        ("late", after(3)),
    ]
    assert clock.now() == after(3)


def test_many_small_steps_sum_up_exactly(clock: VirtualClock) -> None:
    told: list[datetime] = []
    for _ in range(7):
        clock.advance(0.1)
    clock.call_later(0.3, lambda: told.append(clock.now()))
    for _ in range(3):
        clock.advance(0.1)
    assert told == [after(1)]


def test_an_eight_hours_tick_takes_no_time(clock: VirtualClock) -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        ticks += 1
        clock.call_later(1, tick)

    clock.call_later(1, tick)
    began = time.process_time()
    clock.advance(8 * 3600)
    assert ticks == 8 * 3600
    assert time.process_time() - began < 1


@pytest.mark.parametrize("kind", [RealClock, VirtualClock])
def test_what_is_cancelled_or_cleared_is_not_called(kind: type[Clock]) -> None:
    clock = kind()
    told: list[str] = []
    reached = threading.Event()
    clock.call_later(0.01, lambda: told.append("cancelled")).cancel()
    clock.call_later(0.01, lambda: told.append("cleared"))
    clock.clear()
    clock.call_later(0.02, reached.set)
    if isinstance(clock, VirtualClock):
        clock.advance(1)
    assert reached.wait(5)
    assert told == []
    clock.close()


@pytest.mark.parametrize("kind", [RealClock, VirtualClock])
def test_one_that_fails_does_not_keep_the_next_from_being_called(
    kind: type[Clock], caplog: pytest.LogCaptureFixture
) -> None:
    clock = kind()
    reached = threading.Event()
    clock.call_later(0.001, lambda: 1 / 0)
    clock.call_later(0.002, reached.set)
    if isinstance(clock, VirtualClock):
        clock.advance(1)
    assert reached.wait(5)
    assert wait_until(lambda: "division by zero" in caplog.text)
    clock.close()


def test_clearing_goes_on_to_the_next_full_hour(clock: VirtualClock) -> None:
    clock.clear()
    assert clock.now() == START.replace(hour=13, minute=0)
    clock.clear()
    assert clock.now() == START.replace(hour=13, minute=0)


def test_virtual_time_waits_for_real_work(clock: VirtualClock) -> None:
    may_end = threading.Event()
    told: list[str] = []

    def work() -> None:
        assert may_end.wait(5)
        told.append(f"work ended at {clock.now():%M:%S}")
        clock.call_later(1, lambda: told.append("after the work"))

    clock.run(work)
    clock.call_later(2, lambda: told.append("two seconds"))
    advance = threading.Thread(target=clock.advance, args=(3,))
    advance.start()
    # Nothing to wait for: it must not move, however long one looks.
    advance.join(0.05)
    assert clock.now() == START
    may_end.set()
    advance.join(5)
    assert told == ["work ended at 30:00", "after the work", "two seconds"]


def test_a_delay_of_nothing_needs_no_advance(clock: VirtualClock) -> None:
    reached = threading.Event()
    clock.call_later(0, reached.set)
    assert reached.wait(5)


def test_closing_frees_who_advances(clock: VirtualClock) -> None:
    release = threading.Event()
    clock.run(lambda: release.wait(5))
    advance = threading.Thread(target=clock.advance, args=(3,))
    advance.start()
    clock.close()
    advance.join(5)
    assert not advance.is_alive()
    release.set()


def test_a_real_clock_calls_in_time() -> None:
    clock = RealClock()
    told: list[str] = []
    began = time.monotonic()
    clock.call_later(0.5, lambda: told.append("later"))
    clock.call_later(0.01, lambda: told.append("sooner"))
    wait_until(lambda: len(told) == 2)
    assert told == ["sooner", "later"]
    assert time.monotonic() - began >= 0.5
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    clock.close()


def test_there_are_two_clocks() -> None:
    assert (make_clock("real").name, make_clock("virtual").name) == ("real", "virtual")
    with pytest.raises(ValueError, match="'atomic'; allowed: real and virtual"):
        make_clock("atomic")


# The server's


@pytest.fixture(scope="module")
def virtual() -> Iterator[LocalAws]:
    with LocalAws(engine="none", transition_seconds=2, clock="virtual", consistency_seconds=1) as aws:
        yield aws


def test_the_server_is_advanced(virtual: LocalAws) -> None:
    began = virtual.now()
    assert virtual.advance(1.5) == began + timedelta(seconds=1.5) == virtual.now()
    assert virtual.advance(timedelta(hours=8)) == began + timedelta(hours=8, seconds=1.5)
    with pytest.raises(LocalAwsError, match="seconds must be a number from 0, not -1"):
        virtual.advance(-1)


def test_a_real_server_is_not_advanced(aws: LocalAws) -> None:
    assert abs(aws.now() - datetime.now(UTC)) < timedelta(seconds=5)
    with pytest.raises(LocalAwsError, match="this one is real"):
        aws.advance(1)


def test_alarms_and_data_have_the_time_of_the_clock(virtual: LocalAws) -> None:
    virtual.reset()
    cloudwatch = virtual.client("cloudwatch")
    virtual.advance(timedelta(days=3))
    cloudwatch.put_metric_data(Namespace="Mine", MetricData=[{"MetricName": "m", "Value": 3.0}])
    now = virtual.now()
    found = cloudwatch.get_metric_statistics(
        Namespace="Mine",
        MetricName="m",
        StartTime=now - timedelta(minutes=1),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in found["Datapoints"]] == [3.0]
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="Mine",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
    assert abs(alarm["AlarmConfigurationUpdatedTimestamp"] - now) < timedelta(seconds=1)


def test_what_is_eventually_consistent_is_so_by_the_clock(virtual: LocalAws) -> None:
    sagemaker = virtual.client("sagemaker")
    container = {"Image": FOREIGN_IMAGE}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    assert "Could not find model" in refusal_of(sagemaker.describe_model, ModelName="m")[1]
    virtual.advance(1)
    assert sagemaker.describe_model(ModelName="m")["ModelName"] == "m"


def test_answers_are_dated_by_the_clock() -> None:
    """What AWS took first can be told by the dates of its answers, which is how runs at once are ordered."""
    with LocalAws(engine="none", clock="virtual") as aws:
        client = aws.client("sagemaker")

        def dated() -> datetime:
            answer = client.list_models()["ResponseMetadata"]["HTTPHeaders"]["date"]
            return parsedate_to_datetime(answer)

        before = dated()
        aws.advance(3600)
        assert dated() - before == timedelta(hours=1)
