"""Policies of what another account uses: they allow what its principals need, of these resources, and nothing else.

The local AWS has one account and evaluates no policies of resources, so the documents are evaluated here, as those of an identity are.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, strategies

from airflow_sm_hosting import ModelData, policies
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.iam.policy_evaluation import Effect, evaluate_policies

ROLE = "arn:aws:iam::444455556666:role/execution"
GROUP = "arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/churn"
VERSION = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"


def allowed(policy: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    statements = [
        {key: value for key, value in one.items() if key != "Principal"} for one in policy["Statement"]
    ]
    keys = {key.replace("_", ":"): value for key, value in context.items()}
    found = evaluate_policies([{**policy, "Statement": statements}], action, resource, keys)
    return found is Effect.ALLOWED


def test_a_bucket_lets_others_read_its_prefix_only() -> None:
    policy = policies.model_data_read(
        principals=[ROLE, "777788889999"],
        model_data=["s3://models/churn/", ModelData.from_bucket("models", "other/model.tar.gz")],
    )
    json.dumps(policy)
    for key, expected in (("churn/a", True), ("other/b", True), ("else/c", False), ("churning/c", False)):
        assert allowed(policy, "s3:GetObject", f"arn:aws:s3:::models/{key}") is expected
    assert not allowed(policy, "s3:PutObject", "arn:aws:s3:::models/churn/a")
    assert not allowed(policy, "s3:GetObject", "arn:aws:s3:::models-of-others/churn/a")
    assert allowed(policy, "s3:ListBucket", "arn:aws:s3:::models", s3_prefix="churn/")
    assert not allowed(policy, "s3:ListBucket", "arn:aws:s3:::models", s3_prefix="")
    principal = {"AWS": ["arn:aws:iam::444455556666:role/execution", "arn:aws:iam::777788889999:root"]}
    assert all(one["Principal"] == principal for one in policy["Statement"])


@pytest.mark.parametrize("grants", [False, True])
def test_a_key_decrypts_and_is_used_by_services_if_asked(grants: bool) -> None:
    policy = policies.key_use(principals=["444455556666"], grants=grants)
    key = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert allowed(policy, "kms:Decrypt", key)
    grant = [one for one in policy["Statement"] if "kms:CreateGrant" in one["Action"]]
    assert [one["Condition"] for one in grant] == ([{"Bool": {"kms:GrantIsForAWSResource": "true"}}] * grants)
    for action in ("kms:Encrypt", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"):
        assert not any(action in one["Action"] for one in policy["Statement"])


def test_a_group_lets_others_deploy_and_approve_its_versions_only() -> None:
    policy = policies.package_group_use(principals=[ROLE], model_package_group=GROUP)
    assert allowed(policy, "sagemaker:DescribeModelPackageGroup", GROUP)
    for action in ("DescribeModelPackage", "ListModelPackages", "UpdateModelPackage", "CreateModel"):
        assert allowed(policy, f"sagemaker:{action}", VERSION)
        assert not allowed(policy, f"sagemaker:{action}", VERSION.replace("churn", "other"))
    for action in ("DeleteModelPackage", "CreateModelPackage"):
        assert not allowed(policy, f"sagemaker:{action}", VERSION)
    assert not allowed(policy, "sagemaker:PutModelPackageGroupPolicy", GROUP)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: policies.model_data_read(principals=[], model_data=["s3://models/a/"]), "principals"),
        (lambda: policies.model_data_read(principals=["*"], model_data=["s3://models/a/"]), "principals"),
        (lambda: policies.model_data_read(principals=[ROLE], model_data=[]), "nothing is given"),
        (
            lambda: policies.model_data_read(principals=[ROLE], model_data=["s3://aaa/a/", "s3://bbb/a/"]),
            "the buckets aaa, bbb; allowed: one bucket",
        ),
        (lambda: policies.package_group_use(principals=[ROLE], model_package_group="churn"), "the ARN of a"),
        (lambda: policies.key_use(principals=[]), "nothing is given"),
    ],
)
def test_what_can_never_work_is_refused(make: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        make()


def test_accounts_are_of_their_partition() -> None:
    policy = policies.key_use(principals=["444455556666"], partition="aws-cn")
    assert policy["Statement"][0]["Principal"] == {"AWS": ["arn:aws-cn:iam::444455556666:root"]}


def statement(sid: str | None, action: str) -> dict[str, Any]:
    of_id = {} if sid is None else {"Sid": sid}
    return {**of_id, "Effect": "Allow", "Principal": "*", "Action": action}


others = strategies.lists(
    strategies.builds(
        statement,
        strategies.sampled_from([None, "Other", "OursNot", "Our", "Ours", "Ours2", "Ours33"]),
        strategies.sampled_from(["s3:GetObject", "s3:PutObject"]),
    ),
    max_size=6,
)


@given(others, strategies.lists(strategies.sampled_from(["s3:A", "s3:B"]), max_size=3), strategies.booleans())
def test_a_merge_keeps_the_statements_of_others_and_is_done_once(
    found: list[dict[str, Any]], actions: list[str], exists: bool
) -> None:
    before = {"Version": "2012-10-17", "Id": "theirs", "Statement": found} if exists else None
    unchanged = copy.deepcopy(before)
    ours = policies.with_sids({"Statement": [statement(None, one) for one in actions]}, "Ours")
    after = policies.merged(before, ours, "Ours")
    assert before == unchanged
    theirs = [one for one in (found if exists else []) if one.get("Sid") not in ("Ours", "Ours2", "Ours33")]
    if after is None:
        assert policies.merged(before, ours, "Ours") is None
        after = before or {"Statement": []}
    assert [one for one in after["Statement"] if one in theirs] == theirs
    assert [
        one for one in after["Statement"] if str(one.get("Sid")).rstrip("0123456789") == "Ours"
    ] == ours or (
        policies.same(
            {"Statement": [one for one in after["Statement"] if one not in theirs]}, {"Statement": ours}
        )
    )
    assert policies.merged(after, ours, "Ours") is None
