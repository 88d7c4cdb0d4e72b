"""The comparison itself: what must be equal for it, and what must not."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.parity.comparison import (
    ABSENT,
    ALLOWED_DIFFERENCES,
    SERVICE_LINKED_ROLE,
    Call,
    Context,
    Difference,
    Names,
    Registry,
    as_calls,
    differences,
    judged,
    readable,
)
from tests.parity.statements import narrower
from tests.parity.test_examples import EXPECTED

DIGEST = "sha256:" + "d" * 64
OURS = [{"Key": "sm-hosting:managed-by", "Value": "airflow-provider-sm-hosting"}]

#: What the names of the CDK's full stack may be in ours.
NAMES = {
    "<role 1>": "churn-role",
    "<grants 1>": "sm-hosting",
    "<repository 1>": "team/churn",
    "<tag 1>": "v1",
    "<bucket 1>": "models",
    "<artifact 1>": "a.tar.gz",
    "<model 1>": "churn-0123456789",
    "<config 1>": "churn-9876543210",
    "<endpoint 1>": "churn",
    "<policy 1>": "churn-my-variant-invocations",
    "<alarm 1>": "churn-my-variant-ModelLatency",
}


@pytest.fixture
def context() -> Context:
    known = {("team/churn", DIGEST): ["v1"]}
    return Context(Names(), Registry("127.0.0.1:4566", lambda *image: known.get(image, [])))


def named(value: Any) -> Any:
    text = json.dumps(value)
    for placeholder, name in NAMES.items():
        text = text.replace(placeholder, name.replace("team/", ""))
    return json.loads(text)


@pytest.fixture
def expected() -> list[Call]:
    return as_calls(json.loads((EXPECTED / "full_stack.json").read_text())["calls"])


@pytest.fixture
def found(expected: list[Call]) -> list[Call]:
    """Return the same calls with names of ours: nothing is different."""
    return [Call(call.operation, named(call.parameters)) for call in expected]


def call(calls: list[Call], operation: str) -> dict[str, Any]:
    [parameters] = [call.parameters for call in calls if call.operation == operation]
    return parameters


def test_the_same_calls_under_other_names_do_not_differ(
    expected: list[Call], found: list[Call], context: Context
) -> None:
    assert differences(expected, found, context) == []


def test_numbers_are_compared_as_numbers(expected: list[Call], found: list[Call], context: Context) -> None:
    call(found, "cloudwatch:PutMetricAlarm")["Threshold"] = 100000.0
    call(found, "sagemaker:CreateEndpointConfig")["ProductionVariants"][0]["InitialVariantWeight"] = 1.0
    assert differences(expected, found, context) == []


def test_both_forms_of_a_data_url_are_one(expected: list[Call], found: list[Call], context: Context) -> None:
    call(found, "sagemaker:CreateModel")["PrimaryContainer"]["ModelDataUrl"] = "s3://models/a.tar.gz"
    assert differences(expected, found, context) == []


def changed_number(calls: list[Call]) -> None:
    call(calls, "application-autoscaling:PutScalingPolicy")["TargetTrackingScalingPolicyConfiguration"][
        "TargetValue"
    ] = 900.0000001


def number_as_text(calls: list[Call]) -> None:
    call(calls, "application-autoscaling:RegisterScalableTarget")["MaxCapacity"] = "3"


def truth_for_a_number(calls: list[Call]) -> None:
    call(calls, "application-autoscaling:RegisterScalableTarget")["MinCapacity"] = True


def missing_member(calls: list[Call]) -> None:
    del call(calls, "cloudwatch:PutMetricAlarm")["Statistic"]


def further_member(calls: list[Call]) -> None:
    call(calls, "sagemaker:CreateModel")["EnableNetworkIsolation"] = False


def empty_for_absent(calls: list[Call]) -> None:
    call(calls, "cloudwatch:PutMetricAlarm")["AlarmActions"] = []


def other_variant(calls: list[Call]) -> None:
    call(calls, "cloudwatch:PutMetricAlarm")["Dimensions"][1]["Value"] = "main"


def dimensions_the_other_way_round(calls: list[Call]) -> None:
    call(calls, "cloudwatch:PutMetricAlarm")["Dimensions"].reverse()


def one_dimension_less(calls: list[Call]) -> None:
    call(calls, "cloudwatch:PutMetricAlarm")["Dimensions"].pop()


def other_endpoint(calls: list[Call]) -> None:
    call(calls, "cloudwatch:PutMetricAlarm")["Dimensions"][0]["Value"] = "churn2"


def model_of_the_wrong_name(calls: list[Call]) -> None:
    call(calls, "sagemaker:CreateEndpointConfig")["ProductionVariants"][0]["ModelName"] = "churn"


def data_in_another_bucket(calls: list[Call]) -> None:
    call(calls, "sagemaker:CreateModel")["PrimaryContainer"]["ModelDataUrl"] = "s3://other/a/b.tar.gz"


def another_trust(calls: list[Call]) -> None:
    call(calls, "iam:CreateRole")["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"AWS": "*"}


def missing_call(calls: list[Call]) -> None:
    calls.pop()


def further_call(calls: list[Call]) -> None:
    calls.append(Call("sagemaker:UpdateEndpoint", {"EndpointName": "churn"}))


def calls_out_of_order(calls: list[Call]) -> None:
    calls.insert(3, calls.pop(4))


def other_tags(calls: list[Call]) -> None:
    call(calls, "sagemaker:CreateModel")["Tags"] = [*OURS, {"Key": "team", "Value": "x"}]


def another_scaling_role(calls: list[Call]) -> None:
    call(calls, "application-autoscaling:RegisterScalableTarget")["RoleARN"] = (
        "arn:aws:iam::123456789012:role/mine"
    )


def image_of_another_digest(calls: list[Call]) -> None:
    call(calls, "sagemaker:CreateModel")["PrimaryContainer"]["Image"] = (
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:" + "e" * 64
    )


def image_of_another_registry(calls: list[Call]) -> None:
    call(calls, "sagemaker:CreateModel")["PrimaryContainer"]["Image"] = f"example.com/team/churn@{DIGEST}"


def wider_policy(calls: list[Call]) -> None:
    call(calls, "iam:PutRolePolicy")["PolicyDocument"]["Statement"][2]["Action"] = "s3:*"


@pytest.mark.parametrize(
    "change",
    [
        changed_number,
        number_as_text,
        truth_for_a_number,
        missing_member,
        further_member,
        empty_for_absent,
        other_variant,
        dimensions_the_other_way_round,
        one_dimension_less,
        other_endpoint,
        model_of_the_wrong_name,
        data_in_another_bucket,
        another_trust,
        missing_call,
        further_call,
        calls_out_of_order,
        other_tags,
        another_scaling_role,
        image_of_another_digest,
        image_of_another_registry,
        wider_policy,
    ],
)
def test_a_change_is_a_difference_that_no_entry_allows(
    expected: list[Call], found: list[Call], context: Context, change: Callable[[list[Call]], None]
) -> None:
    changed = copy.deepcopy(found)
    change(changed)
    refused, _ = judged(expected, changed, context, ALLOWED_DIFFERENCES)
    assert refused


def test_two_names_that_are_swapped_differ(context: Context) -> None:
    expected = as_calls(json.loads((EXPECTED / "endpoint_config_two_variants.json").read_text())["calls"])
    found = []
    for one in expected:
        text = json.dumps(one.parameters)
        for kind in ("role", "grants", "model", "config"):
            text = text.replace(f"<{kind} 1>", f"{kind}-a").replace(f"<{kind} 2>", f"{kind}-b")
        found.append(Call(one.operation, json.loads(text)))
    assert differences(expected, found, context) == []

    variants = found[-1].parameters["ProductionVariants"]
    variants[0]["ModelName"], variants[1]["ModelName"] = "model-b", "model-a"
    swapped = differences(expected, found, Context(Names(), context.registry))
    assert [(each.path, each.found) for each in swapped] == [
        ("ProductionVariants[0].ModelName", "model-b"),
        ("ProductionVariants[1].ModelName", "model-a"),
    ]


def test_one_name_of_ours_does_not_stand_for_two_of_a_kind() -> None:
    names = Names()
    assert names.match("<model 1>", "churn")
    assert names.match("<endpoint 1>", "churn")
    assert not names.match("<model 2>", "churn")
    assert not names.match("<model 1>/<model 2>", "churn/churn")
    assert names.match("<model 2>", "fraud")
    assert names.expand({"a": ["<model 1>", "<model 3>"]}) == {"a": ["churn", "<model 3>"]}


def test_a_name_ends_where_the_text_around_it_begins() -> None:
    names = Names()
    assert not names.match("endpoint/<endpoint 1>/variant/main", "endpoint/a/b/variant/main")
    assert names.match("endpoint/<endpoint 1>/variant/main", "endpoint/a/variant/main")
    assert not names.match("endpoint/<endpoint 1>", "endpoint/")


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("our tags", Difference("sagemaker:CreateModel", "Tags", ABSENT, OURS)),
        (
            "our tags",
            Difference(
                "application-autoscaling:RegisterScalableTarget", "Tags", ABSENT, {"sm-hosting:x": "y"}
            ),
        ),
        (
            "digest in place of a tag",
            Difference(
                "sagemaker:CreateModel",
                "Containers[2].Image",
                "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/churn:<tag 1>",
                f"127.0.0.1:4566/team/churn@{DIGEST}",
            ),
        ),
        (
            "no RoleARN of the scalable target",
            Difference(
                "application-autoscaling:RegisterScalableTarget", "RoleARN", SERVICE_LINKED_ROLE, ABSENT
            ),
        ),
    ],
)
def test_an_entry_of_the_table_allows_what_it_says(
    context: Context, name: str, difference: Difference
) -> None:
    assert [entry.name for entry in ALLOWED_DIFFERENCES if entry.accepts(difference, context)] == [name]


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("our tags", Difference("sagemaker:CreateModel", "Tags", ABSENT, [])),
        ("our tags", Difference("sagemaker:CreateModel", "PrimaryContainer.Tags", ABSENT, OURS)),
        (
            "digest in place of a tag",
            Difference("sagemaker:CreateModel", "PrimaryContainer.ModelDataUrl", "x:<tag 1>", f"x@{DIGEST}"),
        ),
        ("no AmazonSageMakerFullAccess", Difference("iam:AttachRolePolicy", "", {"PolicyArn": "a"}, ABSENT)),
    ],
)
def test_and_nothing_else(context: Context, name: str, difference: Difference) -> None:
    assert name not in [entry.name for entry in ALLOWED_DIFFERENCES if entry.accepts(difference, context)]


CDK_POLICY = {
    "Statement": [
        {
            "Effect": "Allow",
            "Action": ["ecr:BatchGetImage"],
            "Resource": "arn:aws:ecr:us-east-1:1:repository/r",
        },
        {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject*", "s3:GetBucket*", "s3:List*"],
            "Resource": ["arn:aws:s3:::models", "arn:aws:s3:::models/*"],
        },
    ]
}


@pytest.mark.parametrize(
    ("action", "resource", "within"),
    [
        ("s3:GetObject", "arn:aws:s3:::models/churn/model.tar.gz", True),
        ("s3:GetObject", "arn:aws:s3:::models/churn/*", True),
        ("s3:ListBucket", "arn:aws:s3:::models", True),
        ("ecr:GetAuthorizationToken", "*", True),
        ("cloudwatch:PutMetricData", "*", True),
        ("logs:CreateLogStream", "arn:aws:logs:us-east-1:1:log-group:/aws/sagemaker/Endpoints/*", True),
        ("s3:GetObject", "arn:aws:s3:::models/*", False),
        ("s3:GetObject*", "arn:aws:s3:::models/churn/model.tar.gz", False),
        ("s3:GetObject", "arn:aws:s3:::other/model.tar.gz", False),
        ("s3:PutObject", "arn:aws:s3:::models/churn/model.tar.gz", False),
        ("s3:GetObject", "*", False),
        ("iam:PassRole", "arn:aws:iam::1:role/any", False),
        ("*", "*", False),
    ],
)
def test_a_policy_is_narrower_or_it_is_not(action: str, resource: str, within: bool) -> None:
    policy = {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]}
    assert narrower(policy, CDK_POLICY) is within


def test_no_policy_and_the_same_policy_are_not_narrower() -> None:
    assert not narrower({"Statement": []}, CDK_POLICY)
    assert not narrower(CDK_POLICY, CDK_POLICY)


def test_policy_documents_are_compared_as_documents() -> None:
    sent = readable("iam:PutRolePolicy", {"PolicyName": "p", "PolicyDocument": '{"Statement": []}'})
    assert sent.parameters == {"PolicyName": "p", "PolicyDocument": {"Statement": []}}
