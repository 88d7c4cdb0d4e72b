"""Up in the morning, down at night: variants and copies, as the clock goes, and a rerun at any hour changes nothing."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    EndpointMetric,
    MetricMath,
    ScheduledScaling,
    TargetTrackingScaling,
    WorkingHours,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.components import make_component, make_host
from tests.operators.conftest import (
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    task_id,
)
from tests.operators.test_scale_from_zero import (
    MANAGED,
    OF_COMPONENT,
    OF_VARIANT,
    make_asynchronous,
    targets,
)

pytestmark = pytest.mark.usefixtures("dag")

ZONE = "Asia/Kolkata"
DAY = WorkingHours(start="08:00", end="20:00", timezone=ZONE, days="*")


def configure(of: dict[str, str], **options: Any) -> ConfigureAutoscalingOperator:
    given: dict[str, Any] = {"min_capacity": 1, "max_capacity": 3, "scheduled_actions": [DAY]}
    return ConfigureAutoscalingOperator(**{"task_id": task_id("scaling"), **of, **given, **options})


def actions(aws: LocalAws) -> dict[str, Any]:
    client = aws.client("application-autoscaling")
    found = client.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    return {one["ScheduledActionName"]: one for one in found}


@pytest.fixture
def asynchronous(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_endpoint(aws, make_asynchronous(aws))
    return aws


def test_one_object_becomes_two_actions_beside_others(asynchronous: LocalAws) -> None:
    other = ScheduledScaling(scheduled_action_name="launch", schedule="rate(1 day)", max_capacity=9)
    hours = WorkingHours(start="{{ '08:00' }}", end="20:30", timezone=f"{{{{ '{ZONE}' }}}}", days="MON-FRI")
    ran = run_task(configure(OF_VARIANT, scheduled_actions=[hours, other]))
    assert ran.details["scheduled_actions"] == ["working-hours-start", "working-hours-end", "launch"]
    found = actions(asynchronous)
    assert found["working-hours-start"]["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 3}
    night = found["working-hours-end"]
    assert (night["Schedule"], night["Timezone"]) == ("cron(30 20 ? * MON-FRI *)", ZONE)
    assert night["ScalableTargetAction"] == {"MinCapacity": 0, "MaxCapacity": 0}
    asynchronous.clear_requests()
    run_task(configure(OF_VARIANT, scheduled_actions=[hours, other]))
    assert operations(asynchronous, mutating=True) == []
    run_task(configure(OF_VARIANT, scheduled_actions=[other]))
    assert set(actions(asynchronous)) == {"launch"}


def test_the_night_of_a_real_time_variant_keeps_an_instance(aws: LocalAws) -> None:
    make_model(aws)
    make_endpoint(aws, make_config(aws, "c1"))
    aws.clear_requests()
    ended = outcome(configure(OF_VARIANT))
    assert isinstance(ended.error, InvalidSpecError)
    assert "real-time endpoint keeps one instance" in str(ended.error)
    assert operations(aws, mutating=True) == []
    run_task(configure(OF_VARIANT, scheduled_actions=[{**DAY, "NightCapacity": 1}]))
    assert actions(aws)["working-hours-end"]["ScalableTargetAction"] == {"MinCapacity": 1, "MaxCapacity": 1}


def test_the_night_of_a_serverless_variant_keeps_a_concurrency_of_one(aws: LocalAws) -> None:
    make_model(aws)
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 8, "ProvisionedConcurrency": 2}
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="c1",
        ProductionVariants=[{"VariantName": "main", "ModelName": "model", "ServerlessConfig": serverless}],
    )
    make_endpoint(aws, "c1")
    aws.clear_requests()
    ended = outcome(configure(OF_VARIANT))
    assert isinstance(ended.error, InvalidSpecError)
    assert "keeps a provisioned concurrency of 1" in str(ended.error)
    assert operations(aws, mutating=True) == []
    run_task(configure(OF_VARIANT, scheduled_actions=[{**DAY, "NightCapacity": 1}]))
    assert set(actions(aws)) == {"working-hours-start", "working-hours-end"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_capacity": None}, "WorkingHours, and min_capacity is not given"),
        (
            {"scheduled_actions": [{**DAY, "NightMaxCapacity": 4}]},
            "night_max_capacity is 4; allowed: at most the max_capacity by day, 3",
        ),
        ({"scheduled_actions": [DAY, DAY]}, "'working-hours-start' twice"),
    ],
)
def test_what_does_not_fit_the_task_is_an_error_while_the_dag_is_parsed(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        configure(OF_VARIANT, **options)


@pytest.mark.slow
def test_a_policy_on_an_expression_scales_out_and_in(virtual_aws: LocalAws) -> None:
    """Jobs of two queues, per instance: an expression over metrics that SageMaker does not publish."""
    make_model(virtual_aws)
    make_endpoint(virtual_aws, make_config(virtual_aws, "c1"))
    of_queue = {
        name: EndpointMetric.custom("Team", "Jobs", dimensions={"Queue": name}) for name in ("fast", "slow")
    }
    policy = TargetTrackingScaling(
        target_value=10,
        customized_metric=MetricMath(
            expression="(FILL(fast, 0) + 2 * FILL(slow, 0)) / 2", metrics=of_queue, label="Jobs"
        ),
    )
    ran = run_task(configure(OF_VARIANT, policies=[policy], scheduled_actions=[]))
    assert list(ran.details["policy_arns"]) == ["churn-main-Jobs"]
    virtual_aws.clear_requests()
    run_task(configure(OF_VARIANT, policies=[policy], scheduled_actions=[]))
    assert operations(virtual_aws, mutating=True) == []
    cloudwatch = virtual_aws.client("cloudwatch")

    def instances_after(minutes: int, jobs: float) -> int:
        for _ in range(minutes):
            cloudwatch.put_metric_data(
                Namespace="Team",
                MetricData=[
                    {
                        "MetricName": "Jobs",
                        "Dimensions": [{"Name": "Queue", "Value": name}],
                        "Value": jobs,
                        "Timestamp": virtual_aws.now(),
                    }
                    for name in ("fast", "slow")
                ],
            )
            virtual_aws.advance(60)
        [found] = virtual_aws.client("sagemaker").describe_endpoint(EndpointName="churn")[
            "ProductionVariants"
        ]
        return int(found["CurrentInstanceCount"])

    # (13 + 2 * 13) / 2 is 19.5, twice the target.
    assert instances_after(6, 13) == 2
    assert instances_after(25, 1) == 1


def advance_to(aws: LocalAws, hour: int) -> None:
    """Let the time pass until it is some minutes past an hour of the day in the zone."""
    now = aws.now().astimezone(ZoneInfo(ZONE))
    minutes = (hour * 60 + 20 - now.hour * 60 - now.minute) % (24 * 60)
    aws.advance(minutes * 60)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["variant", "component"])
def test_it_follows_the_clock_and_a_rerun_changes_nothing_at_any_hour(
    virtual_aws: LocalAws, kind: str
) -> None:
    make_model(virtual_aws)
    of = OF_VARIANT if kind == "variant" else OF_COMPONENT
    if kind == "variant":
        make_endpoint(virtual_aws, make_asynchronous(virtual_aws))
    else:
        make_host(virtual_aws, ManagedInstanceScaling=MANAGED)
        make_component(virtual_aws)

    def capacity() -> int:
        sagemaker = virtual_aws.client("sagemaker")
        if kind == "variant":
            [found] = sagemaker.describe_endpoint(EndpointName="churn")["ProductionVariants"]
            return int(found["CurrentInstanceCount"])
        component = sagemaker.describe_inference_component(InferenceComponentName="churn")
        return int(component["RuntimeConfig"]["CurrentCopyCount"])

    # AWS carries out what is scheduled after it was put: in the evening, it would be the next morning's.
    advance_to(virtual_aws, 12)
    run_task(configure(of))
    seen = []
    for hour in (21, 9, 21):
        advance_to(virtual_aws, hour)
        [target] = targets(virtual_aws)
        seen.append((hour, capacity(), target["MinCapacity"], target["MaxCapacity"]))
        virtual_aws.clear_requests()
        run_task(configure(of))
        assert operations(virtual_aws, mutating=True) == []
    assert seen == [(21, 0, 0, 0), (9, 1, 1, 3), (21, 0, 0, 0)]
