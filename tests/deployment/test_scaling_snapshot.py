"""Scaling written into tags, and read from them again."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.scaling_snapshot import (
    as_tags,
    from_tags,
    merged,
    repointed,
    restorable,
    scaling_of,
    tag_keys,
    variant_of,
    variant_resource_id,
)
from airflow_sm_hosting.exceptions import ConflictError

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
TRACKING = {"TargetValue": 900.0, "ScaleInCooldown": 0}
SCALING = scaling_of(
    {**PLACE, "MinCapacity": 1, "MaxCapacity": 3, "RoleARN": "arn:aws:iam::1:role/aws-service-role/x"},
    [
        {
            **PLACE,
            "PolicyName": "requests",
            "PolicyARN": "arn:old",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": TRACKING,
            "Alarms": [{"AlarmName": "made by AWS"}],
            "CreationTime": datetime.now(UTC),
        }
    ],
    [
        {
            **PLACE,
            "ScheduledActionName": "night",
            "ScheduledActionARN": "arn:night",
            "Schedule": "cron(0 22 * * ? *)",
            "StartTime": datetime(2026, 11, 23, tzinfo=UTC),
            "ScalableTargetAction": {"MinCapacity": 1},
        }
    ],
    {"team": "churn"},
)


def test_what_was_described_becomes_the_calls_that_put_it_back() -> None:
    assert SCALING == {
        "target": {**PLACE, "MinCapacity": 1, "MaxCapacity": 3, "Tags": {"team": "churn"}},
        "policies": [
            {
                **PLACE,
                "PolicyName": "requests",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": TRACKING,
            }
        ],
        "actions": [
            {
                **PLACE,
                "ScheduledActionName": "night",
                "Schedule": "cron(0 22 * * ? *)",
                "StartTime": "2026-11-23T00:00:00+00:00",
                "ScalableTargetAction": {"MinCapacity": 1},
            }
        ],
        "arns": {"arn:old": "requests"},
    }


def test_a_capacity_of_zero_is_kept() -> None:
    scaling = scaling_of({**PLACE, "MinCapacity": 0, "MaxCapacity": 0}, [], [], {})

    assert (scaling["target"]["MinCapacity"], scaling["target"]["MaxCapacity"]) == (0, 0)


def test_policies_of_another_dimension_are_another_target_s() -> None:
    other = {
        **PLACE,
        "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency",
        "PolicyName": "other",
        "PolicyARN": "arn:other",
    }

    assert scaling_of({**PLACE, "MinCapacity": 1, "MaxCapacity": 2}, [other], [other], {})["policies"] == []


def test_tags_give_back_what_was_written() -> None:
    tags = as_tags({"main": SCALING}, "0a1b2c3d")

    assert from_tags({"team": "churn", **tags}) == {"main": SCALING}
    assert tag_keys({"team": "churn", **tags}) == sorted(tags)
    # What AddTags allows (botocore, Tag).
    assert all(re.fullmatch(r"[\w\s.:/=+\-@]{0,256}", value) for value in tags.values())
    assert all(re.fullmatch(r"[\w\s.:/=+\-@]{1,128}", key) for key in tags)


def test_without_tags_there_is_no_snapshot() -> None:
    assert from_tags({"team": "churn"}) == {}
    assert tag_keys({"team": "churn"}) == []


PLAIN = st.dictionaries(
    st.text(max_size=10), st.integers() | st.text(max_size=50) | st.booleans(), max_size=8
)


@given(st.dictionaries(st.text(min_size=1, max_size=20), PLAIN, max_size=5))
def test_any_snapshot_that_fits_comes_back(snapshot: Any) -> None:
    tags = as_tags(snapshot, "copy")

    assert from_tags(tags) == json.loads(json.dumps(snapshot))


def large(seed: int) -> dict[str, Any]:
    """Return a scaling that takes several tags."""
    configuration = {"noise": random.Random(seed).randbytes(400).hex()}
    return {
        **SCALING,
        "policies": [{**SCALING["policies"][0], "StepScalingPolicyConfiguration": configuration}],
    }


def test_a_copy_of_which_a_part_is_missing_does_not_count() -> None:
    whole, other = as_tags({"main": SCALING}, "whole"), as_tags({"main": large(1)}, "other")
    assert len(other) > 1
    for missing in other:
        left = {key: value for key, value in other.items() if key != missing}

        assert from_tags({**whole, **left}) == {"main": SCALING}
        assert tag_keys({**whole, **left}) == sorted([*whole, *left])


def test_a_copy_that_was_read_while_scaling_was_taken_off_takes_nothing_away() -> None:
    less = {**SCALING, "policies": [], "actions": [], "arns": {}}

    for snapshots in ([{"main": SCALING}, {"main": less}], [{"main": less}, {"main": SCALING}]):
        tags = {**as_tags(snapshots[0], "a"), **as_tags(snapshots[1], "b")}
        assert from_tags(tags) == {"main": SCALING}
        assert merged(*snapshots) == {"main": SCALING}


def test_of_two_snapshots_the_later_one_counts_and_both_arns_are_known() -> None:
    policy = {**SCALING["policies"][0], "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1.0}}
    newer = {
        **SCALING,
        "target": {**SCALING["target"], "MaxCapacity": 9},
        "policies": [policy],
        "arns": {"arn:new": "requests"},
    }

    found = merged({"main": SCALING, "other": SCALING}, {"main": newer})

    assert found["other"] == SCALING
    assert found["main"]["target"]["MaxCapacity"] == 9
    assert found["main"]["policies"] == [policy]
    assert found["main"]["actions"] == SCALING["actions"]
    assert found["main"]["arns"] == {"arn:old": "requests", "arn:new": "requests"}


def test_scaling_by_instances_and_by_concurrency_are_not_mixed() -> None:
    place = {**PLACE, "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    serverless = scaling_of({**place, "MinCapacity": 1, "MaxCapacity": 2}, [], [], {})

    assert merged({"main": SCALING}, {"main": serverless}) == {"main": serverless}


def test_a_resource_id_names_the_endpoint_and_the_variant() -> None:
    assert variant_resource_id("churn", "main") == PLACE["ResourceId"]
    assert variant_of(PLACE["ResourceId"]) == ("churn", "main")


@pytest.mark.parametrize(
    "other", ["", "inference-component/churn", "endpoint/churn", "endpoint/churn/variant/a/b", "a/b/c/d"]
)
def test_the_resource_id_of_something_else_names_none(other: str) -> None:
    assert variant_of(other) == ("", "")


def test_what_does_not_fit_is_not_taken_off() -> None:
    noise = random.Random(1).randbytes(12_000).hex()

    with pytest.raises(ConflictError, match="too large to be saved"):
        as_tags({"main": {"noise": noise}}, "copy")


def test_alarm_actions_name_the_new_arn() -> None:
    assert repointed(["arn:old", "arn:sns"], {"arn:old": "arn:new"}) == ["arn:new", "arn:sns"]


def test_only_what_a_variant_can_still_be_scaled_by_is_put_back() -> None:
    concurrency = {
        "target": {**PLACE, "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    }
    snapshot = {"main": SCALING, "gone": SCALING, "other": SCALING, "dark": concurrency, "light": concurrency}
    variants = [
        {"VariantName": "main", "CurrentInstanceCount": 2},
        {"VariantName": "other", "CurrentServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
        {"VariantName": "dark", "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}},
        {"VariantName": "light", "InstanceType": "ml.m5.large"},
        {"VariantName": "new", "InstanceType": "ml.m5.large"},
    ]
    assert set(restorable(snapshot, variants)) == {"main", "dark"}
