"""What a deployment is to bring about: the operator's parameters, rendered and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.capacity import Retain


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that is to serve; of a rollback, None for the one before.
    :param fallbacks: Configs to deploy in its place, in order, where AWS has no capacity for it.
    :param deployment_config: ``DeploymentConfig`` of UpdateEndpoint, or None for AWS's default.
    :param fleet_alarms: Alarms to make for this deployment, on the new fleet only.
    :param retain: What an update keeps of instance counts and weights.
    :param replace_failed_endpoint: Whether a failed endpoint is deleted and created anew.
    :param adopt: Whether an endpoint that is not ours may be changed.
    :param allow_older: Whether a newer run's deployment may be undone.
    :param tags: Tags to set beside ours.
    :param run_after: When the DAG run was due, in ISO format.
    :param retried: Whether an earlier try may have been killed half-way.
    :param task: Tells this task of this run from all others, in 8 letters or digits; its tries have it in common.
    :param smoke_test: Whether the endpoint is asked once it is deployed.
    :param rolls_back_wrong_answers: Whether a wrong answer rolls the endpoint back.
    """

    endpoint_name: str
    endpoint_config_name: str | None
    fallbacks: Sequence[str] = ()
    deployment_config: Mapping[str, Any] | None = None
    fleet_alarms: Sequence[Mapping[str, Any]] = ()
    retain: Retain = "auto"
    replace_failed_endpoint: bool = True
    adopt: bool = False
    allow_older: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    run_after: str | None = None
    retried: bool = False
    task: str = "0"
    smoke_test: bool = False
    rolls_back_wrong_answers: bool = False
