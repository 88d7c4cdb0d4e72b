"""The evaluation of policies: actions, resources, conditions, denials and boundaries, as IAM documents them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.local.iam.policy_evaluation import (
    Effect,
    NotEvaluatedError,
    evaluate,
    trusts,
)

MODEL = "arn:aws:sagemaker:us-east-1:123456789012:model/churn-1"
OBJECT = "arn:aws:s3:::models/churn/a/b.tar.gz"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}


def said(
    statement: dict[str, Any], action: str = "sagemaker:CreateModel", resource: str = MODEL, **context: Any
) -> Effect:
    return evaluate(
        [policy(statement)], action, resource, {k.replace("__", ":"): v for k, v in context.items()}
    )


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("sagemaker:CreateModel", True),
        ("sagemaker:createmodel", True),
        ("SageMaker:CreateModel", True),
        ("sagemaker:Create*", True),
        ("sagemaker:?reateModel", True),
        ("*", True),
        (["s3:GetObject", "sagemaker:CreateModel"], True),
        ("sagemaker:CreateModelPackage", False),
        ("sagemaker:Create", False),
        ("s3:*", False),
        ([], False),
    ],
)
def test_actions(pattern: Any, allowed: bool) -> None:
    assert (said({"Action": pattern, "Resource": "*"}) is Effect.ALLOWED) == allowed


@pytest.mark.parametrize(
    ("pattern", "resource", "allowed"),
    [
        (MODEL, MODEL, True),
        ("*", MODEL, True),
        ("*", "*", True),
        (MODEL, "*", False),
        ("arn:aws:sagemaker:us-east-1:123456789012:model/*", MODEL, True),
        ("arn:aws:sagemaker:*:*:model/churn-?", MODEL, True),
        ("arn:aws:sagemaker:us-east-1:123456789012:*", MODEL, True),
        ("arn:aws:sagemaker:us-east-1:123456789012:model/churn", MODEL, False),
        ("arn:aws:sagemaker:us-east-1:123456789012:model/CHURN-1", MODEL, False),
        ("arn:aws:sagemaker:eu-west-1:123456789012:model/*", MODEL, False),
        ("arn:aws:sagemaker:us-east-1:999999999999:model/*", MODEL, False),
        # A wildcard does not reach over a colon of the first five.
        ("arn:aws:sagemaker:*", MODEL, False),
        ("arn:aws:s3:::models/churn/*", OBJECT, True),
        ("arn:aws:s3:::models/*.tar.gz", OBJECT, True),
        ("arn:aws:s3:::models/other/*", OBJECT, False),
        ("arn:aws:s3:::models", OBJECT, False),
        # A dot is a dot.
        ("arn:aws:s3:::models/churn/a/bxtar.gz", OBJECT, False),
        (["arn:aws:s3:::x", OBJECT], OBJECT, True),
        ("arn:aws:logs:*:*:log-group:/a/*", "arn:aws:logs:r:1:log-group:/a/b:log-stream:c", True),
    ],
)
def test_resources(pattern: Any, resource: str, allowed: bool) -> None:
    assert (said({"Action": "*", "Resource": pattern}, resource=resource) is Effect.ALLOWED) == allowed


def test_what_is_excluded_by_not_action_and_not_resource() -> None:
    assert said({"NotAction": "s3:*", "Resource": "*"}) is Effect.ALLOWED
    assert said({"NotAction": "sagemaker:Create*", "Resource": "*"}) is Effect.NOT_ALLOWED
    assert said({"Action": "*", "NotResource": OBJECT}) is Effect.ALLOWED
    assert said({"Action": "*", "NotResource": MODEL}) is Effect.NOT_ALLOWED


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({"StringEquals": {"iam:PassedToService": "a"}}, {"iam__PassedToService": "a"}, True),
    ({"StringEquals": {"IAM:passedtoservice": "a"}}, {"iam__PassedToService": "a"}, True),
    ({"StringEquals": {"iam:PassedToService": "A"}}, {"iam__PassedToService": "a"}, False),
    ({"StringEquals": {"iam:PassedToService": ["b", "a"]}}, {"iam__PassedToService": "a"}, True),
    ({"StringEquals": {"iam:PassedToService": "a"}}, {}, False),
    ({"StringEqualsIfExists": {"iam:PassedToService": "a"}}, {}, True),
    ({"StringEqualsIfExists": {"iam:PassedToService": "a"}}, {"iam__PassedToService": "b"}, False),
    ({"StringEqualsIgnoreCase": {"k": "A"}}, {"k": "a"}, True),
    ({"StringNotEquals": {"k": "a"}}, {"k": "b"}, True),
    ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
    ({"StringNotEquals": {"k": "a"}}, {}, True),
    ({"StringLike": {"s3:prefix": "churn/*"}}, {"s3__prefix": "churn/a/b"}, True),
    ({"StringLike": {"s3:prefix": ["x", "churn/*"]}}, {"s3__prefix": "churn/"}, True),
    ({"StringLike": {"s3:prefix": "churn/*"}}, {"s3__prefix": "other/"}, False),
    ({"StringLike": {"s3:prefix": "churn/*"}}, {"s3__prefix": ""}, False),
    ({"StringLike": {"s3:prefix": "churn/*"}}, {}, False),
    ({"StringNotLike": {"k": "a*"}}, {"k": "b"}, True),
    ({"ArnLike": {"k": "arn:aws:iam::*:role/x*"}}, {"k": "arn:aws:iam::1:role/xy"}, True),
    ({"ArnLike": {"k": "arn:aws:iam::*:role/x*"}}, {"k": "arn:aws:iam::1:role/y"}, False),
    ({"ArnNotLike": {"k": "arn:aws:iam::*:role/x*"}}, {"k": "arn:aws:iam::1:role/y"}, True),
    ({"Bool": {"k": True}}, {"k": "true"}, True),
    ({"Bool": {"k": "false"}}, {"k": "true"}, False),
    ({"Null": {"k": "true"}}, {}, True),
    ({"Null": {"k": "true"}}, {"k": "a"}, False),
    ({"Null": {"k": False}}, {"k": "a"}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__TagKeys": ["a"]}, True),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, {"aws__TagKeys": ["a", "c"]}, False),
    ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}}, {}, True),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": ["x*"]}}, {"aws__TagKeys": ["a", "xy"]}, True),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": ["x*"]}}, {"aws__TagKeys": ["a"]}, False),
    ({"ForAnyValue:StringLike": {"aws:TagKeys": ["x*"]}}, {}, False),
    # Every condition must hold.
    ({"StringEquals": {"a": "1", "b": "2"}}, {"a": "1", "b": "2"}, True),
    ({"StringEquals": {"a": "1", "b": "2"}}, {"a": "1", "b": "3"}, False),
    ({"StringEquals": {"a": "1"}, "StringLike": {"b": "2*"}}, {"a": "1", "b": "3"}, False),
]


@pytest.mark.parametrize(("condition", "context", "holds"), CONDITIONS)
def test_conditions(condition: dict[str, Any], context: dict[str, Any], holds: bool) -> None:
    found = said({"Action": "*", "Resource": "*", "Condition": condition}, **context)
    assert (found is Effect.ALLOWED) == holds


@pytest.mark.parametrize(
    "statement",
    [
        {"Resource": "*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}},
        {"Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},
        {"Resource": "*", "Condition": {"ForNoValue:StringEquals": {"a": "1"}}},
        {"Resource": "*", "Condition": {"StringEquals": {"k": "${aws:username}"}}},
        {"Resource": "arn:aws:s3:::models/${aws:username}/*"},
    ],
)
def test_what_is_not_evaluated_is_said(statement: dict[str, Any]) -> None:
    with pytest.raises(NotEvaluatedError, match="the local AWS does not"):
        said({"Action": "*", **statement}, k="x")


def test_a_denial_wins_wherever_it_stands() -> None:
    allow, deny = (
        policy({"Action": "*", "Resource": "*"}),
        policy({"Action": "sagemaker:*", "Resource": MODEL}),
    )
    deny["Statement"][0]["Effect"] = "Deny"
    for documents in ([allow, deny], [deny, allow]):
        assert evaluate(documents, "sagemaker:CreateModel", MODEL, {}) is Effect.DENIED
        assert evaluate(documents, "s3:GetObject", OBJECT, {}) is Effect.ALLOWED
    assert evaluate([], "s3:GetObject", OBJECT, {}) is Effect.NOT_ALLOWED


def test_a_single_statement_need_not_be_in_a_list() -> None:
    document = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    assert evaluate([document], "s3:GetObject", OBJECT, {}) is Effect.ALLOWED


def test_a_boundary_must_allow_it_too() -> None:
    everything, little = policy({"Action": "*", "Resource": "*"}), policy({"Action": "s3:*", "Resource": "*"})
    assert evaluate([everything], "s3:GetObject", OBJECT, {}, boundary=[little]) is Effect.ALLOWED
    assert evaluate([everything], "iam:CreateRole", "*", {}, boundary=[little]) is Effect.NOT_ALLOWED
    assert evaluate([little], "iam:CreateRole", "*", {}, boundary=[everything]) is Effect.NOT_ALLOWED
    assert evaluate([everything], "s3:GetObject", OBJECT, {}, boundary=[]) is Effect.NOT_ALLOWED


@pytest.mark.parametrize(
    ("principal", "action", "trusted"),
    [
        ({"Service": "sagemaker.amazonaws.com"}, "sts:AssumeRole", True),
        ({"Service": ["a", "sagemaker.amazonaws.com"]}, ["sts:TagSession", "sts:AssumeRole"], True),
        ({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole", False),
        ({"AWS": "*"}, "sts:AssumeRole", False),
        ("*", "sts:AssumeRole", False),
        ({"Service": "sagemaker.amazonaws.com"}, "sts:TagSession", False),
    ],
)
def test_trust(principal: Any, action: Any, trusted: bool) -> None:
    assert trusts(policy({"Principal": principal, "Action": action}), "sagemaker.amazonaws.com") == trusted
