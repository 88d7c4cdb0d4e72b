"""A requested deployment: the operator's parameters, rendered and validated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.capacity import Retain
from airflow_sm_hosting.deployment.component import WantedComponent
from airflow_sm_hosting.deployment.status import Kind


@dataclass(frozen=True)
class Wanted:
    """A requested deployment.

    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config to deploy; in a rollback, None for the previous one.
    :param fallbacks: Configs to deploy instead, in order, if AWS has no capacity.
    :param deployment_config: ``DeploymentConfig`` of UpdateEndpoint, or None for AWS's default.
    :param fleet_alarms: Alarms to make for this deployment, on the new fleet only.
    :param retain: The instance counts and weights that an update retains.
    :param replace_failed_endpoint: Whether to delete a failed endpoint and create it again.
    :param adopt: Whether the deployment may change an endpoint that is not ours.
    :param allow_older: Whether the deployment may undo a newer run's deployment.
    :param strict: Whether a rollout is refused that SageMaker is only assumed to refuse.
    :param wait_for_alarms: Whether to wait for alarms that are in ALARM before the update.
    :param tags: Tags to set in addition to ours.
    :param run_after: The due time of the DAG run, in ISO format.
    :param retried: Whether an earlier try may have been killed half-way.
    :param task: Id of this task of this run, in 8 letters or digits, the same for all its tries.
    :param smoke_test: Whether to invoke the endpoint after the deployment.
    :param smoke_request: The members of the smoke test.
    :param rolls_back_wrong_answers: Whether a wrong answer rolls the endpoint back.
    :param approval: The approved plan: the config that served, and the target; None if no approval is needed.
    :param component: The inference component to deploy in place of an endpoint: ``endpoint_name`` is its name, and
        ``endpoint_config_name`` the name of its specification.
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
    strict: bool = True
    wait_for_alarms: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    run_after: str | None = None
    retried: bool = False
    task: str = "0"
    smoke_test: bool = False
    smoke_request: Mapping[str, Any] = field(default_factory=dict)
    rolls_back_wrong_answers: bool = False
    approval: Mapping[str, Any] | None = None
    component: WantedComponent | None = None

    @property
    def kind(self) -> Kind:
        """The kind of the resource to deploy."""
        return Kind.COMPONENT if self.component else Kind.ENDPOINT
