"""The policy of the worker: from names, for some operators or all, and the table in the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting import policies
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.iam.policy_evaluation import Effect, evaluate_policies
from airflow_sm_hosting.policies.document import MAX_ROLE_POLICY, compact
from airflow_sm_hosting.policies.permissions import PERMISSIONS, UNSCOPED, Permission
from airflow_sm_hosting.spec.alarm import default_alarm_name
from airflow_sm_hosting.spec.fleet_alarm import alarm_prefix
from airflow_sm_hosting.spec.from_zero import ScaleFromZero
from airflow_sm_hosting.spec.tags import MANAGED_BY, PACKAGE

DOCS = Path(__file__).parents[2] / "docs"
HERE = {"region_name": "eu-west-1", "account_id": "111122223333"}
NAMES: dict[str, Any] = {
    "repositories": ["churn"],
    "model_data": ["s3://models/churn/"],
    "execution_roles": ["churn-execution"],
    "build_projects": ["sm-hosting-amd64"],
    "build_roles": ["image-builds"],
    "build_contexts": ["s3://builds/sm-hosting-builds/"],
    "async_inputs": ["s3://smoke-tests/inputs/"],
    "async_outputs": ["s3://answers/churn/"],
    "captured_data": ["s3://captured/churn/"],
    "model_package_groups": ["churn"],
    "queues": ["approvals"],
    **HERE,
}
FRONT = "arn:aws:sagemaker:eu-west-1:111122223333"


def allowed(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    return evaluate_policies([document], action, resource, keys) is Effect.ALLOWED


def actions(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


def test_the_policy_of_all_is_the_union_and_fits_into_a_role() -> None:
    everything = policies.worker(**NAMES)
    assert actions(everything) == {
        action
        for permissions in PERMISSIONS.values()
        for permission in permissions
        for action in permission.actions
        if not action.startswith("kms:")  # no keys are given
    }
    assert policies.same(everything, policies.worker(list(PERMISSIONS), **NAMES))
    assert len(compact(everything)) < MAX_ROLE_POLICY


def test_a_worker_with_other_builders_needs_nothing_of_codebuild() -> None:
    document = policies.worker(["BuildImageOperator"], repositories=["churn"], **HERE)
    assert {action.partition(":")[0] for action in actions(document)} == {"ecr"}


def test_each_role_is_passed_to_its_service_only() -> None:
    document = policies.worker(["CreateModelOperator", "BuildImageOperator"], **NAMES)
    passed = {
        (role, service): allowed(
            document,
            "iam:PassRole",
            f"arn:aws:iam::111122223333:role/{role}",
            iam__PassedToService=f"{service}.amazonaws.com",
        )
        for role in ("churn-execution", "image-builds")
        for service in ("sagemaker", "codebuild")
    }
    assert [pair for pair, is_allowed in passed.items() if is_allowed] == [
        ("churn-execution", "sagemaker"),
        ("image-builds", "codebuild"),
    ]


def test_it_is_about_the_resources_that_are_named() -> None:
    document = policies.worker(
        ["DeployEndpointOperator"], endpoints=["churn"], endpoint_configs=["churn-*"], **HERE
    )
    create = "sagemaker:CreateEndpoint"
    assert allowed(document, create, f"{FRONT}:endpoint/churn")
    assert allowed(document, create, f"{FRONT}:endpoint-config/churn-0123456789")
    assert not allowed(document, create, f"{FRONT}:endpoint/churn-2")
    assert not allowed(document, create, f"{FRONT}:endpoint-config/other-1")
    assert not allowed(document, create, f"{FRONT.replace('eu-west-1', 'us-east-1')}:endpoint/churn")
    assert not allowed(document, "sagemaker:DeleteEndpointConfig", f"{FRONT}:endpoint-config/churn-1")


def test_a_deployment_is_about_the_logs_and_the_alarms_of_its_endpoints() -> None:
    here = "eu-west-1:111122223333"
    deploy = policies.worker(["DeployEndpointOperator"], endpoints=["Churn"], **HERE)
    alarm, group = (
        f"arn:aws:cloudwatch:{here}:alarm",
        f"arn:aws:logs:{here}:log-group:/aws/sagemaker/Endpoints",
    )
    for name in ("Churn", "churn"):  # SageMaker shows names in lower case
        assert allowed(deploy, "cloudwatch:TagResource", f"{alarm}:{alarm_prefix(name, 'c-1')}main-x-0")
        assert allowed(deploy, "logs:DescribeLogStreams", f"{group}/{name}")
        assert allowed(deploy, "logs:GetLogEvents", f"{group}/{name}:log-stream:main/i-1")
    assert not allowed(deploy, "cloudwatch:TagResource", f"{alarm}:{alarm_prefix('churn-2', 'c-1')}main-x-0")
    assert not allowed(deploy, "cloudwatch:TagResource", f"{alarm}:churn")
    assert not allowed(deploy, "logs:GetLogEvents", f"{group}/churn-2:log-stream:main/i-1")

    delete = policies.worker(["DeleteEndpointOperator"], endpoints=["churn"], alarms=["churn-*"], **HERE)
    for name in ("churn-main-latency", alarm_prefix("churn", "c-1")):
        assert allowed(delete, "cloudwatch:DeleteAlarms", f"{alarm}:{name}")
    assert allowed(delete, "cloudwatch:ListTagsForResource", f"{alarm}:any")
    assert not allowed(delete, "cloudwatch:DeleteAlarms", f"{alarm}:any")


def test_what_is_cleaned_up_is_read_everywhere_and_deleted_where_it_is_named() -> None:
    clean_up = policies.worker(
        ["CleanUpHostingOperator"], models=["churn-*"], endpoint_configs=["churn-*"], **NAMES
    )
    for kind, read, delete in (
        ("model", "DescribeModel", "DeleteModel"),
        ("endpoint-config", "DescribeEndpointConfig", "DeleteEndpointConfig"),
    ):
        for name in ("churn-1", "other-1"):
            assert allowed(clean_up, f"sagemaker:{read}", f"{FRONT}:{kind}/{name}")
            assert allowed(clean_up, f"sagemaker:{delete}", f"{FRONT}:{kind}/{name}") == (name == "churn-1")


def test_versions_are_those_of_the_groups_that_are_named() -> None:
    others = "arn:aws:sagemaker:eu-west-1:999999999999:model-package-group/shared"
    document = policies.worker(
        ["RegisterModelOperator", "CreateModelOperator"],
        **{**NAMES, "model_package_groups": ["churn", others]},
    )
    create, describe = "sagemaker:CreateModelPackage", "sagemaker:DescribeModelPackage"
    assert allowed(document, create, f"{FRONT}:model-package/churn/3")
    assert allowed(document, "sagemaker:AddTags", f"{FRONT}:model-package-group/churn")
    assert allowed(document, describe, "arn:aws:sagemaker:eu-west-1:999999999999:model-package/shared/1")
    assert not allowed(document, create, f"{FRONT}:model-package/other/3")
    assert not allowed(document, create, f"{FRONT}:model-package/churn-2/3")
    none = policies.worker(["CreateModelOperator"], **{**NAMES, "model_package_groups": []})
    assert not [action for action in actions(none) if "ModelPackage" in action]


def test_events_are_received_from_the_queues_that_are_named() -> None:
    document = policies.worker(["ModelPackageEventTrigger"], queues=["approvals", "q.fifo"], **HERE)
    queue = "arn:aws:sqs:eu-west-1:111122223333"
    for action in ("sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:DeleteMessage"):
        assert allowed(document, action, f"{queue}:approvals")
        assert allowed(document, action, f"{queue}:q.fifo")
        assert not allowed(document, action, f"{queue}:other")
    assert not allowed(document, "sqs:SendMessage", f"{queue}:approvals")


def test_a_role_is_passed_to_sagemaker_only() -> None:
    document = policies.worker(["CreateModelOperator"], **NAMES)
    role = "arn:aws:iam::111122223333:role/churn-execution"
    service = "iam__PassedToService"
    assert allowed(document, "iam:PassRole", role, **{service: "sagemaker.amazonaws.com"})
    assert not allowed(document, "iam:PassRole", role, **{service: "ec2.amazonaws.com"})
    assert not allowed(document, "iam:PassRole", role)
    assert not allowed(document, "iam:PassRole", f"{role}-2", **{service: "sagemaker.amazonaws.com"})


def test_autoscaling_is_of_sagemaker_only_and_makes_no_other_service_linked_role() -> None:
    document = policies.worker(["ConfigureAutoscalingOperator"], **HERE)
    target = "arn:aws:application-autoscaling:eu-west-1:111122223333:scalable-target/1"
    put, namespace = "application-autoscaling:PutScalingPolicy", "application-autoscaling__service-namespace"
    assert allowed(document, put, target, **{namespace: "sagemaker"})
    assert not allowed(document, put, target, **{namespace: "ecs"})
    service = "sagemaker.application-autoscaling.amazonaws.com"
    role = (
        f"arn:aws:iam::111122223333:role/aws-service-role/{service}/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    create = "iam:CreateServiceLinkedRole"
    assert allowed(document, create, role, iam__AWSServiceName=service)
    assert not allowed(document, create, role, iam__AWSServiceName="ecs.amazonaws.com")


def test_roles_can_be_held_to_a_boundary() -> None:
    bound = "arn:aws:iam::111122223333:policy/bound"
    document = policies.worker(
        ["EnsureExecutionRoleOperator"], execution_roles=["r"], permissions_boundary=bound, **HERE
    )
    role = "arn:aws:iam::111122223333:role/r"
    for action in ("iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"):
        assert allowed(document, action, role, iam__PermissionsBoundary=bound)
        assert not allowed(document, action, role)
    assert allowed(document, "iam:GetRole", role)


def test_what_an_operator_does_not_need_need_not_be_given() -> None:
    policies.worker(["DeployEndpointOperator", "InvokeEndpointOperator"])
    policies.worker(["CreateModelOperator"], repositories=[], model_data=[], execution_roles=[])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operators": ["DeployOperator"]}, "'DeployOperator' is not an operator, sensor or trigger of this package.*Did you mean"),
        ({"operators": [5]}, "operators: 'int' is not an operator, sensor or trigger of this package"),
        ({"operators": "DeployEndpointOperator"}, "operators is a str; allowed: a list"),
        ({"operators": ["CreateModelOperator"], "repositories": None}, "repositories is missing, and CreateModelOperator needs it"),
        ({"operators": ["UploadModelDataOperator"], "model_data": None}, "model_data is missing, and UploadModelDataOperator"),
        ({"operators": ["EnsureExecutionRoleOperator"], "execution_roles": None}, "execution_roles is missing"),
        ({"execution_roles": ["a b"]}, "execution_roles is 'a b'; allowed: names or ARNs of IAM roles"),
        ({"models": ["a_b"]}, "models is 'a_b'; allowed: names or ARNs of SageMaker models"),
        ({"endpoints": [f"{FRONT}:model/x"]}, "an ARN of the form arn:<partition>:sagemaker:…:endpoint/"),
        ({"model_data": ["s3://models/"]}, "whole bucket"),
        ({"model_package_groups": ["a/1"]}, "model_package_groups is 'a/1'; allowed: names or ARNs of model package groups"),
        ({"queues": ["https://sqs/q"]}, "queues is 'https://sqs/q'; allowed: names or ARNs of SQS queues"),
    ],
)  # fmt: skip
def test_bad_input_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        policies.worker(**{**NAMES, **options})


# What is on everything, and what is not


def test_only_what_aws_scopes_so_is_on_everything() -> None:
    for operators in (None, *([name] for name in PERMISSIONS)):
        for statement in policies.worker(operators, **NAMES)["Statement"]:
            if "*" in statement["Resource"]:
                assert set(statement["Action"]) <= set(UNSCOPED), operators
    used = {
        action
        for permissions in PERMISSIONS.values()
        for permission in permissions
        for action in permission.actions
        if permission.on == "any"
    }
    assert used == set(UNSCOPED)
    pages = (DOCS / "permissions.md").read_text()
    for action, page in UNSCOPED.items():
        assert f"`{action}`" in pages
        assert f"https://docs.aws.amazon.com/{page}" in pages


HERE_ALARM = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm"
SCALING_ALARM = f"{HERE_ALARM}:TargetTracking-endpoint/churn/variant/main-AlarmHigh-1"


@pytest.mark.parametrize(
    "operator", ["ConfigureAutoscalingOperator", "DeployEndpointOperator", "RollbackEndpointOperator"]
)
def test_alarms_of_scaling_are_those_of_the_endpoints(operator: str) -> None:
    document = policies.worker([operator], endpoints=["churn"], **HERE)
    for action in ("cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms"):
        assert allowed(document, action, SCALING_ALARM)
        for other in (
            SCALING_ALARM.replace("churn", "other"),
            SCALING_ALARM.replace("endpoint", "service"),
            f"{HERE_ALARM}:billing",
            SCALING_ALARM.replace("eu-west-1", "us-east-1"),
        ):
            assert not allowed(document, action, other)


@pytest.mark.parametrize(
    ("operator", "action"),
    [
        ("CreateLatencyAlarmOperator", "cloudwatch:PutMetricAlarm"),
        ("CreateEndpointAlarmOperator", "cloudwatch:TagResource"),
        ("CreateCompositeAlarmOperator", "cloudwatch:TagResource"),
        ("DeleteEndpointOperator", "cloudwatch:DeleteAlarms"),
        ("DeployEndpointOperator", "cloudwatch:PutMetricAlarm"),
    ],
)
def test_alarms_have_by_default_the_names_that_this_package_gives(operator: str, action: str) -> None:
    document = policies.worker([operator], endpoints=["Churn"], **HERE)
    made = default_alarm_name({"MetricName": "ModelLatency"}, "Churn", "main")
    assert allowed(document, action, f"{HERE_ALARM}:{made}")
    assert not allowed(document, action, f"{HERE_ALARM}:billing")
    assert not allowed(document, action, f"{HERE_ALARM}:Churning")
    named = policies.worker([operator], endpoints=["Churn"], alarms=["latency of churn"], **HERE)
    assert allowed(named, action, f"{HERE_ALARM}:latency of churn")
    assert not allowed(named, action, f"{HERE_ALARM}:{made}")
    every = policies.worker([operator], **HERE)
    assert allowed(every, action, f"{HERE_ALARM}:anything")
    assert not allowed(every, action, f"{HERE_ALARM.replace('1111', '2222')}:anything")


def test_dashboards_have_by_default_the_names_that_this_package_gives() -> None:
    operator, action = "CreateEndpointDashboardOperator", "cloudwatch:PutDashboard"
    front = "arn:aws:cloudwatch::111122223333:dashboard"
    document = policies.worker([operator], endpoints=["churn"], **HERE)
    assert allowed(document, action, f"{front}/sagemaker-churn")
    assert not allowed(document, action, f"{front}/billing")
    named = policies.worker([operator], endpoints=["churn"], dashboards=["models"], **HERE)
    assert allowed(named, action, f"{front}/models")
    assert not allowed(named, action, f"{front}/sagemaker-churn")
    with pytest.raises(InvalidSpecError, match="names or ARNs of CloudWatch dashboards"):
        policies.worker([operator], endpoints=["churn"], dashboards=["a dashboard"], **HERE)


def test_a_task_that_calls_nothing_of_aws_needs_no_permission() -> None:
    assert policies.worker(["ApproveDeploymentOperator"], **HERE)["Statement"] == []


class CreateLatencyAlarmOperator:
    """What stands for a task here, where Airflow is not imported."""

    def __init__(self, alarm_name: Any) -> None:
        self.alarm_name = alarm_name


class ConfigureAutoscalingOperator:
    """The same of a task that scales from zero."""

    def __init__(self, alarm_name: str) -> None:
        self.from_zero = ScaleFromZero(target_value=5, alarm_name=alarm_name)


def test_alarms_that_wake_from_zero_are_allowed_by_default_and_by_the_name_of_the_task() -> None:
    put = "cloudwatch:PutMetricAlarm"
    tasks = [ConfigureAutoscalingOperator("wake up"), ConfigureAutoscalingOperator("{{ params.name }}")]
    document = policies.worker(tasks, endpoints=["churn"], inference_components=["llm"], **HERE)
    for name in ("llm-from-zero", "churn-main-from-zero", "wake up"):
        assert allowed(document, put, f"{HERE_ALARM}:{name}")
    for name in ("other-from-zero", "llm", "wake"):
        assert not allowed(document, put, f"{HERE_ALARM}:{name}")
    assert "{{" not in str(document)


def test_alarms_of_tasks_have_the_names_that_the_tasks_give() -> None:
    put = "cloudwatch:PutMetricAlarm"
    tasks = [
        CreateLatencyAlarmOperator("latency of churn"),
        CreateLatencyAlarmOperator("{{ params.name }}"),
        CreateLatencyAlarmOperator(None),
        CreateLatencyAlarmOperator,
    ]
    document = policies.worker(tasks, endpoints=["churn"], **HERE)
    assert allowed(document, put, f"{HERE_ALARM}:latency of churn")
    assert allowed(document, put, f"{HERE_ALARM}:churn-main-ModelLatency")
    assert not allowed(document, put, f"{HERE_ALARM}:billing")
    assert "{{" not in str(document)


@pytest.mark.parametrize("operator", ["ConfigureAutoscalingOperator", "DeployEndpointOperator"])
def test_scalable_targets_are_tagged_that_are_ours(operator: str) -> None:
    tag, target = (
        "application-autoscaling:TagResource",
        "arn:aws:application-autoscaling:eu-west-1:111122223333:scalable-target/1",
    )
    document = policies.worker([operator], **HERE)
    for whose in ("Request", "Resource"):
        key = f"aws__{whose}Tag/{MANAGED_BY}"
        assert allowed(document, tag, target, **{key: PACKAGE})
        assert not allowed(document, tag, target, **{key: "terraform"})
    assert not allowed(document, tag, target)
    assert allowed(policies.worker([operator], others_scaling=True, **HERE), tag, target)


def test_scalable_targets_lose_tags_that_are_ours() -> None:
    untag, target = (
        "application-autoscaling:UntagResource",
        "arn:aws:application-autoscaling:eu-west-1:111122223333:scalable-target/1",
    )
    document = policies.worker(["ConfigureAutoscalingOperator"], **HERE)
    assert allowed(document, untag, target, **{f"aws__ResourceTag/{MANAGED_BY}": PACKAGE})
    assert not allowed(document, untag, target)
    assert not allowed(document, untag, target, **{f"aws__RequestTag/{MANAGED_BY}": PACKAGE})


# The documentation

#: How the kinds of resource are told.
KINDS = {
    "any": "`*`",
    "model": "`models`",
    "endpoint": "`endpoints`",
    "endpoint-config": "`endpoint_configs`",
    "endpoint endpoint-config": "`endpoints` and `endpoint_configs`",
    "inference-component": "`inference_components`",
    "inference-component endpoint": "`inference_components` and `endpoints`",
    "every-inference-component": "every inference component",
    "scaling-alarm copies-alarm": (
        "alarms `TargetTracking-endpoint/<endpoint>/…` of `endpoints` and `TargetTracking-inference-component/<name>-…` of "
        "`inference_components`"
    ),
    "component-logs": "logs of `inference_components`",
    "every-endpoint": "every endpoint",
    "every-endpoint-config": "every endpoint config",
    "every-model": "every model",
    "captured-object": "objects of `captured_data`",
    "captured-bucket": "buckets of `captured_data`",
    "async-input": "objects of `async_inputs`",
    "async-output": "objects of `async_outputs`",
    "async-output-bucket": "buckets of `async_outputs`",
    "every-endpoint-config every-model": "every endpoint config and model",
    "endpoint-logs": "logs of `endpoints`",
    "dashboard": "`dashboards`",
    "alarm": "`alarms`",
    "every-alarm": "every alarm",
    "scaling-alarm": "alarms `TargetTracking-endpoint/<endpoint>/…` of `endpoints`",
    "rollout-alarm": "alarms `rollout/<endpoint>/…` of `endpoints`",
    "alarm rollout-alarm": "`alarms`, and alarms `rollout/<endpoint>/…` of `endpoints`",
    "scalable-target": "scalable targets",
    "scaling-role": "the service-linked role of autoscaling",
    "role": "`execution_roles`",
    "config-role": "`execution_roles`",
    "repository": "`repositories`",
    "object": "objects of `model_data`",
    "bucket": "buckets of `model_data`",
    "key": "`kms_key_ids`",
    "volume-key": "`volume_kms_key_ids`",
    "build-project": "`build_projects`",
    "build-role": "`build_roles`",
    "build-object": "objects of `build_contexts`",
    "build-bucket": "buckets of `build_contexts`",
    "build-logs": "logs of `build_projects`",
    "every-package": "every model package",
    "package-group": "`model_package_groups`",
    "packages": "versions of `model_package_groups`",
    "queue": "`queues`",
}


def row(permission: Permission) -> str:
    names = ", ".join(f"`{action}`" for action in permission.actions)
    notes = [*(["AWS"] if permission.aws else []), *(["optional"] if permission.optional else [])]
    note = f" ({', '.join(notes)})" if notes else ""
    return f"| {names}{note} | {KINDS[permission.on]} | {permission.when} |"


def table() -> str:
    """Return the tables of the documentation."""
    parts = []
    shown: dict[int, str] = {}
    for name, permissions in PERMISSIONS.items():
        first = shown.setdefault(id(permissions), name)
        lines = ["| IAM action | on | when |", "|---|---|---|", *map(row, permissions)]
        if not permissions:
            lines = ["None: it does not call AWS."]
        elif first != name:
            lines = [f"The same as for [{first}](#{first.lower()})."]
        parts.append("\n".join([f"### {name}", "", *lines]))
    return "\n\n".join(parts)


def test_the_documentation_has_the_table() -> None:
    begin, end = "<!-- permissions -->\n", "\n<!-- end of permissions -->"
    text = (DOCS / "permissions.md").read_text()
    assert text.partition(begin)[2].partition(end)[0] == table()
