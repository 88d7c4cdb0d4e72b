"""What to do with an alarm, and whether its endpoint publishes what it watches; no AWS."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import EndpointMetric, MetricMath
from airflow_sm_hosting.deployment.alarm import (
    AlarmPlan,
    alarm_steps,
    check_published,
    needs_instance_type,
    plan_alarm,
    task_tag,
    without_gpu,
)
from airflow_sm_hosting.deployment.difference import ABSENT
from airflow_sm_hosting.deployment.steps import PutCompositeAlarm, PutMetricAlarm, TagAlarm
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.metric import PUBLISHED, completed_metric
from airflow_sm_hosting.spec.tags import OURS, TASK

MINE, OTHER = "dag/alarm", "dag/other"
LINES = ["Threshold is 1.0, requested 2.0"]


def plan(lines: list[str], tags: dict[str, str] | None, **options: Any) -> AlarmPlan:
    return plan_alarm(
        "a", lines, tags, **{"wanted_tags": {}, "task": MINE, "named": False, "adopt": False, **options}
    )


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("adopt", [True, False])
def test_an_absent_alarm_is_put(named: bool, adopt: bool) -> None:
    assert plan(ABSENT, None, named=named, adopt=adopt) == AlarmPlan(put=True)


@pytest.mark.parametrize("writer", [MINE, OTHER, None])
@pytest.mark.parametrize("named", [True, False])
def test_an_equal_alarm_of_ours_is_left_alone_whoever_wrote_it(writer: str | None, named: bool) -> None:
    tags = {**OURS, **({TASK: writer} if writer else {})}
    assert plan([], tags, named=named) == AlarmPlan(put=False)
    assert plan([], tags, named=named, wanted_tags={"team": "a"}) == AlarmPlan(put=False, tags={"team": "a"})


def test_a_changed_alarm_of_the_same_task_is_put() -> None:
    assert plan(LINES, {**OURS, TASK: MINE}) == AlarmPlan(put=True)
    assert plan(LINES, OURS) == AlarmPlan(put=True, tags={TASK: MINE})


def test_another_tasks_alarm_is_changed_only_when_it_is_named() -> None:
    tags = {**OURS, TASK: OTHER}
    with pytest.raises(ConflictError, match=r"written by another task, dag/other.*Threshold.*own alarm_name"):
        plan(LINES, tags)
    with pytest.raises(ConflictError):
        plan(LINES, tags, adopt=True)
    assert plan(LINES, tags, named=True) == AlarmPlan(put=True, tags={TASK: MINE}, taken_from=OTHER)


@pytest.mark.parametrize("named", [True, False])
def test_an_alarm_of_others_is_changed_only_when_it_is_adopted(named: bool) -> None:
    others = {"team": "b"}
    assert plan([], others, named=named) == AlarmPlan(put=False)
    with pytest.raises(ConflictError, match=r"was not created by this package.*Threshold is.*adopt=True"):
        plan(LINES, others, named=named)
    with pytest.raises(ConflictError, match="tags are missing"):
        plan([], others, named=named, wanted_tags={"team": "a"})
    assert plan(LINES, others, adopt=True) == AlarmPlan(put=True, tags={**OURS, TASK: MINE})
    assert plan([], others, adopt=True) == AlarmPlan(put=False, tags={**OURS, TASK: MINE})


ARN = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"
REQUEST = {"AlarmName": "a", "Threshold": 2.0}
TEAM, TEAM_TAGS = {"team": "a"}, [{"Key": "team", "Value": "a"}]
TAGGED = TagAlarm({"ResourceARN": ARN, "Tags": TEAM_TAGS}, "tags of alarm a")


@pytest.mark.parametrize("put", [PutMetricAlarm, PutCompositeAlarm])
@pytest.mark.parametrize(
    ("decided", "arn", "request_", "tagged"),
    [
        (AlarmPlan(put=True), None, {**REQUEST, "Tags": TEAM_TAGS}, []),
        # PutMetricAlarm sets no tags of an alarm that is there.
        (AlarmPlan(put=True), ARN, REQUEST, []),
        (AlarmPlan(put=True, tags=TEAM), ARN, REQUEST, [TAGGED]),
        (AlarmPlan(put=False, tags=TEAM), ARN, None, [TAGGED]),
        (AlarmPlan(put=False), ARN, None, []),
    ],
    ids=["new", "changed", "changed, tags missing", "tags missing", "as asked for"],
)
def test_an_alarm_is_put_with_its_tags_once_and_tagged_after_that(
    put: Any, decided: AlarmPlan, arn: str | None, request_: Any, tagged: list[Any]
) -> None:
    steps = alarm_steps(decided, put, REQUEST, arn=arn, new_tags=TEAM)
    assert steps == [*([put(request_, "alarm a")] if request_ else []), *tagged]
    assert "Tags" not in REQUEST


def test_why_an_alarm_is_put_is_told() -> None:
    [step] = alarm_steps(plan(LINES, {**OURS, TASK: MINE}), PutMetricAlarm, REQUEST, arn=ARN, new_tags={})
    assert step.why == "Threshold is 1.0, requested 2.0"


def test_the_tag_of_a_task_fits_into_its_value() -> None:
    assert task_tag("dag", "task", -1) == "dag/task"
    assert task_tag("dag", "task", 3) == "dag/task/3"
    long = task_tag("d" * 250, "t" * 250, -1)
    assert len(long) == 256
    assert long != task_tag("d" * 250, "t" * 249 + "u", -1)


def endpoint(*names: str, **members: Any) -> dict[str, Any]:
    return {"ProductionVariants": [{"VariantName": name} for name in names], **members}


SERVERLESS = {
    "ProductionVariants": [{"VariantName": "main", "CurrentServerlessConfig": {"MaxConcurrency": 1}}]
}
ASYNCHRONOUS = endpoint("main", AsyncInferenceConfig={"OutputConfig": {}})
KINDS = {"real-time": endpoint("main"), "serverless": SERVERLESS, "asynchronous": ASYNCHRONOUS}


def check(metric: dict[str, Any], described: dict[str, Any] | None, variant: str = "main") -> None:
    check_published(completed_metric(metric, "churn", variant), described, "churn", variant)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("namespace", "name"), PUBLISHED, ids=[name for _, name in PUBLISHED])
def test_a_metric_that_the_kind_of_endpoint_does_not_publish_is_refused(
    namespace: str, name: str, kind: str
) -> None:
    metric = EndpointMetric.custom(namespace, name)
    if kind in PUBLISHED[namespace, name][1]:
        check(metric, KINDS[kind])
        return
    with pytest.raises(InvalidSpecError, match=f"metric is {name}, .*not publish for the {kind} endpoint"):
        check(metric, KINDS[kind])
    # Inside an expression too; one of another account is of another endpoint.
    with pytest.raises(InvalidSpecError, match=f"metric is {name}"):
        check(MetricMath(expression="a * 2", metrics={"a": metric}), KINDS[kind])
    check(EndpointMetric.custom(namespace, name, account_id="210987654321"), KINDS[kind])


#: What the AWS pages say in so many words.
@pytest.mark.parametrize(
    ("kind", "metric", "published"),
    [
        ("serverless", EndpointMetric.invocations_per_instance(), False),
        ("serverless", EndpointMetric.cpu_utilization(), False),
        ("serverless", EndpointMetric.memory_utilization(), True),
        ("serverless", EndpointMetric.error_rate(), True),
        ("asynchronous", EndpointMetric.overhead_latency(), False),
        ("asynchronous", EndpointMetric.invocations(), False),
        ("asynchronous", EndpointMetric.error_rate(), False),
        ("asynchronous", EndpointMetric.model_latency(), True),
        ("asynchronous", EndpointMetric.cpu_utilization(), True),
        ("real-time", EndpointMetric.custom("AWS/SageMaker", "ModelSetupTime"), False),
        ("real-time", EndpointMetric.custom("AWS/SageMaker", "ApproximateBacklogSize"), False),
        ("real-time", EndpointMetric.custom("AWS/SageMaker", "NewerThanThisVersion"), True),
        ("serverless", EndpointMetric.custom("Team", "InvocationsPerInstance"), True),
    ],
)
def test_the_table_is_that_of_the_pages(kind: str, metric: Any, published: bool) -> None:
    if published:
        check(metric, KINDS[kind])
    else:
        with pytest.raises(InvalidSpecError, match="can never go off"):
            check(metric, KINDS[kind])


def test_endpoint_and_variant_must_be_there() -> None:
    metric = EndpointMetric.invocations()
    with pytest.raises(NotFoundError, match=r"no endpoint 'churn'.*check_endpoint=False"):
        check(metric, None)
    with pytest.raises(NotFoundError, match=r"'churn' has no variant 'other'; it has: main, canary"):
        check(metric, endpoint("main", "canary"), "other")


@pytest.mark.parametrize(
    "described",
    [
        {"EndpointStatus": "Creating"},
        endpoint("old", ShadowProductionVariants=[{"VariantName": "main"}]),
        endpoint("old", PendingDeploymentSummary={"ProductionVariants": [{"VariantName": "main"}]}),
    ],
    ids=["not described yet", "shadow", "on its way"],
)
def test_variants_that_are_there_otherwise_are_found(described: dict[str, Any]) -> None:
    check(EndpointMetric.invocations(), described)


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ({"InstanceType": "ml.m5.large"}, "ml.m5.large"),
        ({"InstanceType": "ml.inf2.xlarge"}, "ml.inf2.xlarge"),
        ({"InstanceType": "ml.trn1.2xlarge"}, "ml.trn1.2xlarge"),
        ({"InstanceType": "ml.g5.xlarge"}, None),
        ({"InstanceType": "ml.p6-b200.48xlarge"}, None),
        ({"InstanceType": "ml.x9.large"}, None),  # a family that is not known
        ({"ServerlessConfig": {}}, None),
    ],
)
def test_known_families_without_gpus_are_told(variant: dict[str, Any], told: str | None) -> None:
    config = {"ProductionVariants": [{"VariantName": "other"}, {"VariantName": "main", **variant}]}
    assert without_gpu(config, "main") == told
    assert without_gpu(None, "main") is None


def test_only_gpu_metrics_need_the_instance_type() -> None:
    assert needs_instance_type(EndpointMetric.gpu_utilization())
    assert needs_instance_type(
        MetricMath(expression="a * 2", metrics={"a": EndpointMetric.gpu_memory_utilization()})
    )
    assert not needs_instance_type(EndpointMetric.cpu_utilization())
