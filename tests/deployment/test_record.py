"""Records of deployments: what they hold, and what they never hold."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting.deployment.observation import Fact, FactKind
from airflow_sm_hosting.deployment.record import (
    LONGEST_TEXT,
    MOST_VARIANTS,
    VERSION,
    DeploymentOutcome,
    deployment_record,
    merged,
    observed_members,
    outcome_of,
    tag_members,
)
from airflow_sm_hosting.deployment.timeline import MOST_ENTRIES, entry_of, with_entry
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
)
from airflow_sm_hosting.spec.tags import PREVIOUS_ENDPOINT_CONFIGS

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/churn"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn@sha256:" + "a" * 64


class AirflowSkipException(Exception):
    """As Airflow's: known by its name."""


def described(config: str = "new", **members: Any) -> dict[str, Any]:
    return {
        "EndpointName": "churn",
        "EndpointArn": ARN,
        "EndpointConfigName": config,
        "EndpointStatus": "InService",
        "ProductionVariants": [
            {
                "VariantName": "main",
                "CurrentWeight": 1.0,
                "DesiredWeight": 1.0,
                "CurrentInstanceCount": 2,
                "DesiredInstanceCount": 3,
                "DeployedImages": [{"SpecifiedImage": "churn:latest", "ResolvedImage": IMAGE}],
            }
        ],
        **members,
    }


FACTS: dict[Fact, Any] = {
    Fact(FactKind.ENDPOINT_CONFIG, ("new",)): {
        "ProductionVariants": [{"VariantName": "main", "ModelName": "m", "InstanceType": "ml.m5.large"}]
    },
    Fact(FactKind.MODEL, ("m",)): {
        "PrimaryContainer": {
            "Image": IMAGE,
            "ModelDataUrl": "s3://models/model.tar.gz",
            "Environment": {"TOKEN": "hidden-value"},
        }
    },
    Fact(FactKind.SCALABLE_TARGETS, ("churn", "main")): {"main": {"MinCapacity": 1, "MaxCapacity": 8}},
    Fact(FactKind.ALARMS, ("latency",)): {"latency": {"StateValue": "OK"}},
}


def test_a_record_tells_what_serves_and_what_a_rollback_would_go_back_to() -> None:
    members = {
        **observed_members(described(), FACTS, ["latency"]),
        **tag_members({PREVIOUS_ENDPOINT_CONFIGS: "new old older"}),
    }
    record = deployment_record({"name": "churn", **members}, outcome=DeploymentOutcome.SUCCEEDED)
    assert record == {
        "version": VERSION,
        "kind": "endpoint",
        "name": "churn",
        "region": "eu-west-1",
        "outcome": "succeeded",
        "status": "InService",
        "endpoint_config_name": "new",
        "rollback_to": "old",
        "variants": [
            {
                "name": "main",
                "model": "m",
                "instance_type": "ml.m5.large",
                "image": IMAGE,
                "artifact": "s3://models/model.tar.gz",
                "weight": 1.0,
                "desired_weight": 1.0,
                "current": 2,
                "desired": 3,
                "min_capacity": 1,
                "max_capacity": 8,
            }
        ],
        "alarms": [{"name": "latency", "state": "OK"}],
    }


def test_no_environment_and_no_signature_gets_into_a_record() -> None:
    members = observed_members(described(), FACTS)
    failure = "Could not get https://b.s3.amazonaws.com/m?X-Amz-Signature=abcdef0123456789"
    written = json.dumps(deployment_record(members, outcome=DeploymentOutcome.FAILED, failure=failure))
    assert "hidden-value" not in written
    assert "abcdef0123456789" not in written
    assert "Could not get" in written


def test_a_record_is_small() -> None:
    variant = described()["ProductionVariants"][0]
    many = described(ProductionVariants=[{**variant, "VariantName": f"v{index}"} for index in range(100)])
    members = observed_members(many, {}, [f"alarm-{index}" for index in range(100)])
    record = deployment_record(members, outcome=DeploymentOutcome.FAILED, failure="x" * 100_000)
    assert len(record["variants"]) == MOST_VARIANTS
    assert len(record["failure"]) == LONGEST_TEXT
    assert len(json.dumps(record)) < 16_000


def test_what_an_earlier_process_has_seen_of_a_config_is_kept() -> None:
    before = observed_members(described("old"), FACTS)
    after = observed_members(described("new"), {})
    record = deployment_record(merged(before, after), outcome=DeploymentOutcome.SUCCEEDED)
    (variant,) = record["variants"]
    assert (variant["instance_type"], variant["max_capacity"]) == ("ml.m5.large", 8)


def test_a_variant_shows_no_content_of_another_config() -> None:
    record = deployment_record(
        observed_members(described("old"), FACTS), outcome=DeploymentOutcome.ROLLED_BACK
    )
    assert "instance_type" not in record["variants"][0]
    assert "artifact" not in record["variants"][0]


@pytest.mark.parametrize("action", [None, "unchanged", "overtaken", "wait"])
def test_an_action_without_a_change_is_unchanged(action: str | None) -> None:
    assert outcome_of(None, action) is DeploymentOutcome.UNCHANGED


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "succeeded"),
        (DeploymentRolledBackError("back"), "rolled_back"),
        (DeploymentTimeoutError("late"), "timed_out"),
        (DeploymentFailedError("failed"), "failed"),
        (ConflictError("not ours"), "failed"),
        (ValueError("other"), "failed"),
        (AirflowSkipException("newer"), "skipped"),
    ],
)
def test_an_outcome_is_that_of_the_error(error: Exception | None, outcome: str) -> None:
    assert outcome_of(error, "update") == outcome


def test_nothing_known_makes_a_record_too() -> None:
    record = deployment_record({"name": "churn"}, outcome=DeploymentOutcome.FAILED, failure="no access")
    assert record == {
        "version": VERSION,
        "kind": "endpoint",
        "name": "churn",
        "outcome": "failed",
        "failure": "no access",
    }


# The timeline


def test_a_timeline_grows_only_when_something_changes() -> None:
    timeline = with_entry([], entry_of(described(), 1.0))
    assert with_entry(timeline, entry_of(described(), 2.0)) == timeline
    assert len(with_entry(timeline, entry_of(described(EndpointStatus="Updating"), 3.0))) == 2


def test_a_timeline_keeps_its_beginning_and_its_newest_entries() -> None:
    timeline: list[Any] = []
    for index in range(MOST_ENTRIES + 10):
        timeline = with_entry(timeline, {"at": index, "status": str(index)})
    assert len(timeline) == MOST_ENTRIES
    assert [timeline[0]["at"], timeline[-1]["at"]] == [0, MOST_ENTRIES + 9]


def test_an_entry_shows_both_fleets() -> None:
    pending = {
        "EndpointConfigName": "newer",
        "ProductionVariants": [
            {
                "VariantName": "main",
                "CurrentWeight": 0.1,
                "InstanceType": "ml.m5.large",
                "CurrentInstanceCount": 1,
                "DesiredInstanceCount": 2,
                "VariantStatus": [{"Status": "Baking", "StatusMessage": "Baking for 300 seconds (…)"}],
            }
        ],
    }
    entry = entry_of(described(EndpointStatus="Updating", PendingDeploymentSummary=pending), 1.0)
    assert (entry["config"], entry["pending"]) == ("new", "newer")
    assert (entry["moved"], entry["bake_seconds"]) == (50, 300)
    assert entry["serving"] == [{"name": "main", "weight": 1.0, "current": 2, "desired": 3}]
    assert entry["coming"] == [
        {
            "name": "main",
            "weight": 0.1,
            "current": 1,
            "desired": 2,
            "instance_type": "ml.m5.large",
            "stage": "Baking",
        }
    ]
    json.dumps(entry)


def test_an_endpoint_that_does_not_exist_has_an_entry() -> None:
    assert entry_of(None, 1.0) == {"at": 1.0, "status": "does not exist"}


def test_what_is_not_known_is_left_out_and_what_was_known_stays() -> None:
    seen = observed_members(None, {}, ["latency"])
    assert "status" not in seen
    assert seen["alarms"] == [{"name": "latency"}]
    assert tag_members(None) == {}
    assert merged({"scaling": {"main": {"min": 1}}}, {"target": "b"}) == {
        "scaling": {"main": {"min": 1}},
        "target": "b",
    }
