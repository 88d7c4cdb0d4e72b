"""What a role lacks of what is wanted of it, and nothing that others put there."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import policies
from airflow_sm_hosting.policies.role import Role, is_trusting, lacking, trusting

POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
}
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
LAMBDA = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}


def test_a_role_as_wanted_lacks_nothing() -> None:
    role = Role(POLICY, {"a": "1"}, BOUNDARY, policies.trust())
    assert lacking(Role(POLICY, {"a": "1", "theirs": "2"}, BOUNDARY, policies.trust()), role).names == []


def test_what_is_missing_or_different_is_named() -> None:
    found = Role(None, {"a": "2"}, None, {"Version": "2012-10-17", "Statement": [LAMBDA]})
    lacks = lacking(found, Role(POLICY, {"a": "1"}, BOUNDARY))
    assert lacks.names == ["trust policy", "policy", "permissions boundary", "tags"]
    assert (lacks.policy, lacks.permissions_boundary, lacks.tags) == (POLICY, BOUNDARY, {"a": "1"})
    assert lacks.trust_policy is not None
    assert lacks.trust_policy["Statement"][0] == LAMBDA
    assert is_trusting(lacks.trust_policy)


def test_a_boundary_that_somebody_set_stays_where_none_is_wanted() -> None:
    found = Role(POLICY, {}, BOUNDARY, policies.trust())
    assert lacking(found, Role(POLICY, {})).names == []


def test_a_role_without_a_trust_policy_gets_one() -> None:
    assert lacking(Role(POLICY, {}), Role(POLICY, {})).trust_policy == policies.trust()


@pytest.mark.parametrize(
    ("change", "trusts"),
    [
        ({}, True),
        ({"Action": "sts:*"}, True),
        ({"Action": ["sts:TagSession", "sts:AssumeRole"]}, True),
        ({"Principal": {"Service": ["lambda.amazonaws.com", "sagemaker.amazonaws.com"]}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}}, True),
        ({"Effect": "Deny"}, False),
        ({"Action": "sts:TagSession"}, False),
        ({"Principal": "*"}, False),
        ({"Principal": {"AWS": "*"}}, False),
    ],
    ids=str,
)
def test_sagemaker_may_assume_a_role_by_any_form_of_statement(change: dict[str, Any], trusts: bool) -> None:
    statement = {**policies.trust()["Statement"][0], **change}
    assert is_trusting({"Statement": [LAMBDA, statement]}) is trusts


def test_those_who_may_assume_a_role_stay() -> None:
    made = trusting({"Version": "2008-10-17", "Id": "theirs", "Statement": LAMBDA})
    assert (made["Version"], made["Id"], made["Statement"][0]) == ("2008-10-17", "theirs", LAMBDA)
