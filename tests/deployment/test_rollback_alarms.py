"""Whether an alarm can roll back a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import AllAtOnce, Canary, Linear, Rolling
from airflow_sm_hosting.deployment.rollback_alarms import bake, going_off, problems, seconds_to_trip


def alarm(name: str = "latency", **members: Any) -> dict[str, Any]:
    return {"AlarmName": name, "Period": 60, "EvaluationPeriods": 3, "StateValue": "OK", **members}


@pytest.mark.parametrize(
    ("rollout", "seconds"),
    [
        ({}, 0),
        (AllAtOnce(), 0),
        (AllAtOnce(termination_wait=300), 300),
        (Canary(size="10%", wait_interval=600), 600),
        (Canary(size="10%", wait_interval=600, termination_wait=120), 720),
        (Linear(step_size="25%", wait_interval=100), 400),
        (Linear(step_size="30%", wait_interval=100), 400),
        (Linear(step_size=1, wait_interval=100), 200),
        (Rolling(maximum_batch_size="20%", wait_interval=60), 300),
        (Rolling(maximum_batch_size=1, wait_interval=60), 120),
    ],
)
def test_how_long_a_rollout_watches_its_alarms(rollout: Any, seconds: int) -> None:
    assert bake(rollout)[0] == seconds


@pytest.mark.parametrize(
    ("members", "seconds"),
    [
        ({}, 180),
        ({"DatapointsToAlarm": 2}, 120),
        ({"Period": 10}, 30),
        (
            {
                "Period": None,
                "Metrics": [
                    {"MetricStat": {"Period": 60, "Metric": {}}},
                    {"MetricStat": {"Period": 300, "Metric": {}}},
                    {"Expression": "a/b"},
                ],
            },
            900,
        ),
    ],
)
def test_how_long_an_alarm_needs(members: Any, seconds: int) -> None:
    found = seconds_to_trip(alarm(**members))

    assert found is not None
    assert found[0] == seconds


def test_a_composite_alarm_follows_others_at_once() -> None:
    assert seconds_to_trip({"AlarmName": "any", "AlarmRule": "ALARM(a)"}) is None


def test_an_alarm_that_can_go_off_in_time_is_no_problem() -> None:
    assert problems(["latency"], [alarm()], Canary(size="10%", wait_interval=180)) == []


def test_the_example_of_the_developer_guide_cannot_trip_and_the_arithmetic_is_told() -> None:
    slow = alarm(Period=600, EvaluationPeriods=2)

    assert problems(["latency"], [slow], Canary(size="30%", wait_interval=600)) == [
        "alarm latency cannot go off in time: it needs 2 × 600 s = 1200 s of breaching data, and the rollout gives it "
        "1 × 600 s of bake time + 0 s before the old fleet ends = 600 s"
    ]


def test_without_a_bake_no_alarm_can_trip() -> None:
    (found,) = problems(["latency"], [alarm()], AllAtOnce())

    assert "0 s before the old fleet ends = 0 s" in found


def test_an_alarm_that_is_not_there_is_told() -> None:
    assert problems(["latency", "errors"], [alarm()], AllAtOnce(termination_wait=600)) == [
        "alarm errors does not exist"
    ]


def test_missing_data_of_a_fleet_that_is_not_there_yet_must_not_breach() -> None:
    dimensions = [{"Name": "EndpointConfigName", "Value": "churn-2"}]
    (found,) = problems(
        ["latency"],
        [alarm(TreatMissingData="breaching", Dimensions=dimensions)],
        AllAtOnce(termination_wait=600),
    )

    assert "treats missing data as breaching" in found
    assert problems(["latency"], [alarm(TreatMissingData="breaching")], AllAtOnce(termination_wait=600)) == []


def test_an_alarm_that_is_going_off_is_told_with_its_reason() -> None:
    off = alarm(StateValue="ALARM", StateReason="threshold crossed")

    assert going_off([off, alarm("errors")]) == ["alarm latency is already in ALARM (threshold crossed)"]


def watching(name: str, *dimensions: tuple[str, str]) -> dict[str, Any]:
    return alarm(
        Namespace="AWS/SageMaker",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
    )


OF_MAIN = (("EndpointName", "Churn"), ("VariantName", "main"))


@pytest.mark.parametrize(
    ("watched", "kinds", "told"),
    [
        (watching("Invocations", *OF_MAIN), {"main": "asynchronous"}, "Invocations for an asynchronous endpoint"),
        (watching("Invocations", *OF_MAIN), {"main": "real-time"}, None),
        (watching("Invocations", *OF_MAIN), {}, None),
        (watching("Invocations", ("EndpointName", "other"), ("VariantName", "main")), {"main": "asynchronous"}, None),
        (watching("ApproximateBacklogSize", OF_MAIN[0]), {"main": "real-time", "b": "real-time"}, "for a real-time endpoint"),
        (watching("ApproximateBacklogSize", OF_MAIN[0]), {"main": "asynchronous"}, None),
        (watching("ApproximateBacklogSize", OF_MAIN[0]), {}, None),
        (watching("InvocationsPerInstance", ("InferenceComponentName", "llm")), {}, "for an inference component"),
        (watching("InvocationsPerCopy", ("InferenceComponentName", "llm")), {}, None),
    ],
    ids=range(9),
)  # fmt: skip
def test_an_alarm_on_a_metric_that_nothing_publishes(
    watched: dict[str, Any], kinds: dict[str, str], told: str | None
) -> None:
    found = problems(
        ["latency"], [watched], AllAtOnce(termination_wait=600), endpoint_name="churn", kinds=kinds
    )
    assert len(found) == (told is not None)
    assert told is None or ("alarm latency can never go off: " in found[0] and told in found[0])


def test_an_alarm_on_an_expression_of_which_nothing_publishes_a_metric() -> None:
    metric = watching("Invocations", *OF_MAIN)
    queries = [
        {"Id": "m", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {"Id": "e", "Expression": "m * 2"},
    ]
    (found,) = problems(
        ["latency"],
        [alarm(Metrics=queries)],
        AllAtOnce(termination_wait=600),
        endpoint_name="churn",
        kinds={"main": "asynchronous"},
    )
    assert "SageMaker does not publish Invocations" in found
