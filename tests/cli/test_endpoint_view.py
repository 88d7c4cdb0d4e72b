"""What is shown of an endpoint, from what AWS describes: no call is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting.cli.endpoint_view import (
    RollbackView,
    deployments,
    rollback_alarms,
    rollback_of,
    serving_since,
    variants_of,
)
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, RolledBack, Run, RunState

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def run_of(config: str, state: RunState, minutes_ago: int) -> Run:
    moment = NOW - timedelta(minutes=minutes_ago)
    return Run(f"task-{config}-{minutes_ago}", moment.isoformat(), state, int(moment.timestamp()), config)


def endpoint(serving: str, pending: str | None = None, **more: Any) -> dict[str, Any]:
    summary = {"PendingDeploymentSummary": {"EndpointConfigName": pending}} if pending else {}
    status = "Updating" if pending else "InService"
    return {"EndpointStatus": status, "EndpointConfigName": serving, **summary, **more}


DEPLOYED, UNDONE, CLAIMED = RunState.DEPLOYED, RunState.UNDONE, RunState.CLAIMED


@pytest.mark.parametrize(
    ("described", "tags", "expected"),
    [
        (endpoint("a"), EndpointTags(), {"a": "serving"}),
        (
            endpoint("b", "c"),
            EndpointTags(history=["b", "a"], runs=(run_of("c", CLAIMED, 1),)),
            {"c": "deploying", "b": "serving", "a": "served before"},
        ),
        (endpoint("a", "a"), EndpointTags(), {"a": "deploying"}),
        # Rolled back by a person, from c over b.
        (
            endpoint("a"),
            EndpointTags(
                history=["a"],
                rolled_back=RolledBack(NOW.isoformat(), "c", "a"),
                runs=(run_of("b", UNDONE, 9), run_of("c", UNDONE, 5)),
            ),
            {"a": "serving", "c": "rolled back", "b": "undone"},
        ),
        # Rolled back by SageMaker: no deployment of ours has replaced it.
        (
            endpoint("a"),
            EndpointTags(history=["a"], runs=(run_of("a", DEPLOYED, 9), run_of("bad", DEPLOYED, 5))),
            {"a": "serving", "bad": "undone"},
        ),
        (
            endpoint("a"),
            EndpointTags(rolled_back=RolledBack(NOW.isoformat(), "a", "bad")),
            {"a": "serving", "bad": "undone"},
        ),
        (
            endpoint("c"),
            EndpointTags(history=["b", "a"], unverified=["b"], runs=(run_of("b", DEPLOYED, 5),)),
            {"c": "serving", "b": "unverified", "a": "served before"},
        ),
        # A claim is no deployment.
        (endpoint("a"), EndpointTags(runs=(run_of("b", CLAIMED, 5),)), {"a": "serving"}),
    ],
)
def test_the_state_of_each_config(
    described: dict[str, Any], tags: EndpointTags, expected: dict[str, str]
) -> None:
    found = deployments(described, tags, {})
    assert {one.endpoint_config_name: one.state for one in found} == expected
    assert list(expected) == [one.endpoint_config_name for one in found]


def test_since_when_a_config_serves() -> None:
    deployed = EndpointTags(runs=(run_of("a", DEPLOYED, 60), run_of("a", DEPLOYED, 30)))
    assert serving_since(endpoint("a"), deployed) == NOW - timedelta(minutes=30)
    assert serving_since(endpoint("b"), deployed) is None
    back = EndpointTags(rolled_back=RolledBack(NOW.isoformat(), "b", "a"), runs=(run_of("a", DEPLOYED, 60),))
    assert serving_since(endpoint("a"), back) == NOW
    (first, *_) = deployments(endpoint("a"), back, {})
    assert first.deployed_at == NOW


def test_a_rollback_goes_to_the_newest_verified_config() -> None:
    tags = EndpointTags(history=["c", "b", "a"], unverified=["b"])
    assert rollback_of(endpoint("c"), tags, {"a": {}}) == RollbackView("a", exists=True)
    assert rollback_of(endpoint("c"), tags, {"a": None}) == RollbackView("a", exists=False)
    assert rollback_of(endpoint("c"), EndpointTags(history=["c"]), {}) is None


def test_traffic_is_the_share_of_the_weights() -> None:
    def described(*weights: float | None) -> dict[str, Any]:
        variants = [
            {"VariantName": str(index), **({} if weight is None else {"CurrentWeight": weight})}
            for index, weight in enumerate(weights)
        ]
        shadow = [{"VariantName": "s", "CurrentWeight": 0.5}]
        return endpoint("a", ProductionVariants=variants, ShadowProductionVariants=shadow)

    def shares(*weights: float | None) -> list[float | None]:
        return [
            one.traffic_percent for one in variants_of(described(*weights), None, {}) if not one.is_shadow
        ]

    assert shares(1, 3) == [25, 75]
    assert shares(2, 1) == [66.7, 33.3]
    assert shares(0, 0) == [0, 0]
    assert shares(None) == [None]
    assert [one.is_shadow for one in variants_of(described(1), None, {})] == [False, True]


def test_a_serverless_variant_has_a_concurrency_and_no_instances() -> None:
    variant = {
        "VariantName": "main",
        "CurrentWeight": 1.0,
        "CurrentInstanceCount": 0,
        "CurrentServerlessConfig": {"MaxConcurrency": 5, "MemorySizeInMB": 2048},
    }
    (found,) = variants_of(endpoint("a", ProductionVariants=[variant]), None, {})
    assert (found.instances, found.max_concurrency) == (None, 5)


def test_the_alarms_are_those_of_the_deployment_in_progress_or_of_the_last_one() -> None:
    def config(name: str) -> dict[str, Any]:
        return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name}]}}

    last = endpoint("a", LastDeploymentConfig=config("last"))
    assert rollback_alarms(last) == ["last"]
    assert rollback_alarms(endpoint("a")) == []
