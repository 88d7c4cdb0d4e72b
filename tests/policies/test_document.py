from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import policies
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.policies.document import MAX_ROLE_POLICY, allow, compact, document

READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/a"}


def of(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    "other",
    [
        of({**READ, "Action": ["s3:GetObject"]}),
        {"Statement": READ, "Version": "2012-10-17"},
        of({**READ, "Resource": ["arn:aws:s3:::models/a"]}),
    ],
)
def test_writing_it_otherwise_is_no_difference(other: dict[str, Any]) -> None:
    assert policies.same(of(READ), other)


def test_orders_are_no_difference() -> None:
    two = {
        "Effect": "Allow",
        "Action": ["a:B", "a:C"],
        "Resource": ["x", "y"],
        "Condition": {"Bool": {"k": True}},
    }
    turned = {
        "Condition": {"Bool": {"k": ["true"]}},
        "Resource": ["y", "x"],
        "Action": ["a:C", "a:B"],
        "Effect": "Allow",
    }
    assert policies.same(of(READ, two), of(turned, READ))


@pytest.mark.parametrize(
    "other",
    [
        of({**READ, "Effect": "Deny"}),
        of({**READ, "Action": "s3:PutObject"}),
        of({**READ, "Resource": "*"}),
        of({**READ, "Condition": {"Bool": {"aws:SecureTransport": "true"}}}),
        of(READ, READ | {"Action": "s3:PutObject"}),
        of(),
    ],
)
def test_what_allows_something_else_is_a_difference(other: dict[str, Any]) -> None:
    assert not policies.same(of(READ), other)


def test_statements_that_differ_in_actions_only_are_one() -> None:
    condition = {"StringEquals": {"a": "b"}}
    merged = document([allow(["a:B"], ["x"]), allow(["a:C"], ["x"], condition), allow(["a:A", "a:B"], ["x"])])
    assert [one["Action"] for one in merged["Statement"]] == [["a:A", "a:B"], ["a:C"]]


def test_a_policy_that_does_not_fit_into_a_role_is_refused() -> None:
    fits = policies.execution_role(model_data=[f"s3://models/{'x' * 200}{number}" for number in range(10)])
    policies.check_size("policy", fits)
    big = policies.execution_role(model_data=[f"s3://models/{'x' * 200}{number}" for number in range(30)])
    assert len(compact(big)) > MAX_ROLE_POLICY
    with pytest.raises(InvalidSpecError, match=r"policy has \d+ characters; allowed: 10240"):
        policies.check_size("policy", big)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{}", "policy is not a policy document"),
        ({}, "policy is not a policy document"),
        ({"Statement": []}, "policy is not a policy document"),
        (of({"Effect": "Allow"}), r"policy: Statement\[0\] must have exactly one of Action and NotAction"),
        (of(READ, {**READ, "Principal": "*"}), r"Statement\[1\] has a Principal"),
        (of({**READ, "Resource": "x" * 10_240}), "characters; allowed: 10240"),
    ],
)
def test_a_document_of_somebody_elses_is_checked(given: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        policies.check_document("policy", given)


def test_a_good_document_passes() -> None:
    policies.check_document("policy", of(READ))
    policies.check_document("policy", {"Statement": READ})
