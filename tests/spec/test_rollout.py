"""Rollouts: the DeploymentConfig of UpdateEndpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

from airflow_sm_hosting import AllAtOnce, Canary, Linear, Rolling
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.rollout import capacity_size, completed, longest_seconds


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def test_all_at_once() -> None:
    assert AllAtOnce() == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
        }
    }
    assert AllAtOnce(termination_wait=0)["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 0


def test_canary() -> None:
    assert Canary(
        size="10%",
        wait_interval=timedelta(minutes=10),
        termination_wait=120,
        maximum_execution_timeout=timedelta(hours=1),
        auto_rollback_alarms=["latency", "errors"],
    ) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 600,
                "CanarySize": percent(10),
            },
            "TerminationWaitInSeconds": 120,
            "MaximumExecutionTimeoutInSeconds": 3600,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "latency"}, {"AlarmName": "errors"}]},
    }


def test_linear() -> None:
    assert Linear(step_size=2, wait_interval=0) == {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "LINEAR",
                "WaitIntervalInSeconds": 0,
                "LinearStepSize": {"Type": "INSTANCE_COUNT", "Value": 2},
            }
        }
    }


def test_rolling() -> None:
    assert Rolling(
        maximum_batch_size="5%",
        wait_interval=60,
        rollback_maximum_batch_size="100%",
        maximum_execution_timeout=600,
    ) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": percent(5),
            "WaitIntervalInSeconds": 60,
            "MaximumExecutionTimeoutInSeconds": 600,
            "RollbackMaximumBatchSize": percent(100),
        }
    }


@pytest.mark.parametrize(
    ("make", "field", "edges", "beyond"),
    [
        (lambda v: Canary(size=v, wait_interval=0), "Canary: size", ["1%", "50%", 1, 100], ["0%", "51%", 0, -1, "5", "10.5%", 0.1, True, None, "", "%"]),
        (lambda v: Linear(step_size=v, wait_interval=0), "Linear: step_size", ["10%", "50%", 1], ["9%", "51%", 0, "x"]),
        (lambda v: Rolling(maximum_batch_size=v, wait_interval=0), "Rolling: maximum_batch_size", ["5%", "50%", 1], ["4%", "51%", 0]),
        (lambda v: Rolling(maximum_batch_size=1, wait_interval=0, rollback_maximum_batch_size=v), "Rolling: rollback_maximum_batch_size", ["1%", "100%"], ["0%", "101%", 0]),
        (lambda v: Canary(size=1, wait_interval=v), "Canary: wait_interval", [0, 3600, timedelta(hours=1)], [-1, 3601, 0.5, None]),
        (lambda v: Linear(step_size=1, wait_interval=v), "Linear: wait_interval", [0, 3600], [-1, 3601]),
        (lambda v: Rolling(maximum_batch_size=1, wait_interval=v), "Rolling: wait_interval", [0, 3600], [-1, 3601]),
        (lambda v: AllAtOnce(termination_wait=v), "AllAtOnce: termination_wait", [0, 3600], [-1, 3601, "60"]),
        (lambda v: Canary(size=1, wait_interval=0, termination_wait=v), "Canary: termination_wait", [0, 3600], [-1, 3601]),
        (lambda v: AllAtOnce(maximum_execution_timeout=v), "AllAtOnce: maximum_execution_timeout", [600, 28_800], [599, 28_801]),
        (lambda v: Rolling(maximum_batch_size=1, wait_interval=0, maximum_execution_timeout=v), "Rolling: maximum_execution_timeout", [600, 28_800], [599, 28_801]),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_each_rule_holds_at_both_edges(make: Any, field: str, edges: list[Any], beyond: list[Any]) -> None:
    for value in edges:
        make(value)
    for value in beyond:
        with pytest.raises(InvalidSpecError) as caught:
            make(value)
        assert str(caught.value).startswith(f"{field} is {value!r}; allowed: ")


def test_the_whole_deployment_lasts_longer_than_its_waits() -> None:
    waits = {"size": 1, "wait_interval": 600, "termination_wait": 600}
    Canary(**waits, maximum_execution_timeout=1201)
    with pytest.raises(
        InvalidSpecError,
        match=r"Canary: maximum_execution_timeout \(more than the sum of the waits: 1 x 600 s and 600 s\) is 1200",
    ):
        Canary(**waits, maximum_execution_timeout=1200)
    Canary(**{**waits, "wait_interval": "{{ x }}"}, maximum_execution_timeout=600)


@pytest.mark.parametrize(
    ("step_size", "steps"), [("10%", 10), ("25%", 4), ("30%", 4), ("33%", 4), ("34%", 3), ("50%", 2), (1, 2)]
)
def test_a_linear_rollout_waits_after_each_of_its_steps(step_size: Any, steps: int) -> None:
    """Developer guide, "Use linear traffic shifting": each step has its baking period; one of instances is half of the fleet at most."""
    waits = {"step_size": step_size, "wait_interval": 600, "termination_wait": 60}
    together = steps * 600 + 60
    Linear(**waits, maximum_execution_timeout=together + 1)
    with pytest.raises(
        InvalidSpecError, match=rf"Linear: maximum_execution_timeout .*{steps} x 600 s and 60 s"
    ):
        Linear(**waits, maximum_execution_timeout=together)


def test_rendered_and_plain_configs_are_counted_too() -> None:
    rendered = Linear(step_size="{{ x }}", wait_interval="{{ x }}", maximum_execution_timeout=1200)
    policy = rendered["BlueGreenUpdatePolicy"]
    policy["TrafficRoutingConfiguration"] |= {"LinearStepSize": "25%", "WaitIntervalInSeconds": "300"}
    with pytest.raises(InvalidSpecError, match=r"rollout: maximum_execution_timeout .*4 x 300 s and 0 s"):
        completed(rendered)
    policy["MaximumExecutionTimeoutInSeconds"] = "1201"
    assert completed(rendered)["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] == "1201"


def test_ten_alarms_are_the_most() -> None:
    names = [f"alarm-{number}" for number in range(10)]
    assert len(AllAtOnce(auto_rollback_alarms=names)["AutoRollbackConfiguration"]["Alarms"]) == 10
    with pytest.raises(
        InvalidSpecError, match=r"AllAtOnce: auto_rollback_alarms has 11 names; allowed: 1 to 10"
    ):
        AllAtOnce(auto_rollback_alarms=[*names, "one-more"])
    with pytest.raises(
        InvalidSpecError, match=r"AllAtOnce: auto_rollback_alarms is 'alarm'; allowed: a list"
    ):
        AllAtOnce(auto_rollback_alarms="alarm")
    assert "AutoRollbackConfiguration" not in AllAtOnce(auto_rollback_alarms=[])
    assert names == [f"alarm-{number}" for number in range(10)]


@given(
    size=st.integers(1, 50).map("{}%".format) | st.integers(1, 100),
    wait=st.integers(0, 3600),
    termination=st.none() | st.integers(0, 3600),
    timeout=st.none() | st.integers(7201, 28_800),
    alarms=st.lists(st.text("ab-", min_size=1, max_size=9), max_size=10),
)
def test_every_rollout_passes_botocores_own_validator(
    size: Any, wait: int, termination: int | None, timeout: int | None, alarms: list[str]
) -> None:
    rollout = Canary(
        size=size,
        wait_interval=wait,
        termination_wait=termination,
        maximum_execution_timeout=timeout,
        auto_rollback_alarms=alarms,
    )
    request = {"EndpointName": "churn", "EndpointConfigName": "churn-1", "DeploymentConfig": rollout}
    ready = validated_request("sagemaker", "UpdateEndpoint", request)
    assert not ParamValidator().validate(ready, input_shape("sagemaker", "UpdateEndpoint")).has_errors()
    limit = longest_seconds(rollout)
    if timeout is not None:
        assert limit == timeout
    elif limit is not None:
        assert wait + (termination or 0) < limit <= 28_800


def test_how_long_a_rollout_lasts_is_derived_from_its_waits() -> None:
    assert longest_seconds(None) is None
    assert longest_seconds({}) is None
    assert longest_seconds(AllAtOnce()) is None
    assert longest_seconds(AllAtOnce(maximum_execution_timeout=900)) == 900
    slow = longest_seconds(Linear(step_size="10%", wait_interval=600))
    assert slow is not None
    assert slow >= 10 * 600
    assert longest_seconds(Linear(step_size="10%", wait_interval=3600)) == 28_800
    rolling = longest_seconds(Rolling(maximum_batch_size="5%", wait_interval=300))
    assert rolling is not None
    assert rolling >= 20 * 300


def test_a_capacity_of_the_aws_shape_passes() -> None:
    assert capacity_size("s", percent(90), low=1, high=50) == percent(90)


def test_digits_that_are_no_decimal_number_are_refused_in_our_words() -> None:
    with pytest.raises(InvalidSpecError, match=r"Canary: size is '²%'"):
        Canary(size="²%", wait_interval=0)


def test_names_of_alarms_are_completed_to_alarms() -> None:
    found = completed({"AutoRollbackConfiguration": {"Alarms": ["latency", {"AlarmName": "errors"}]}})
    assert found["AutoRollbackConfiguration"]["Alarms"] == [{"AlarmName": "latency"}, {"AlarmName": "errors"}]
