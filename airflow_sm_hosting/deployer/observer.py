"""Fetch the facts that a plan needs from AWS, each with its calls."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from tenacity import (
    RetryError,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.deployer.waking_alarms import alarms_that_wake
from airflow_sm_hosting.deployment.component import COPIES, as_compared, component_row, described_component
from airflow_sm_hosting.deployment.evidence import Evidence
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.scaling_snapshot import scaling_of, variant_resource_id
from airflow_sm_hosting.deployment.status import DELETING, Described, Kind, status_line
from airflow_sm_hosting.exceptions import SageMakerHostingError, SideReadError
from airflow_sm_hosting.hooks.errors import is_denied, is_passing
from airflow_sm_hosting.hooks.retry_log import RetryLog
from airflow_sm_hosting.spec.fleet_alarm import alarm_prefix
from airflow_sm_hosting.spec.tags import is_ours

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)

#: How long tags, scaling, alarms, configs and models are tried to be read, in seconds. A deployment waits for its endpoint for hours; to
#: wait so long for an alarm's state says nothing about the endpoint, and holds the worker.
SIDE_READ_PATIENCE = 300.0

#: Prefix of the alarms that Application Auto Scaling makes and deletes with the scaling (user guide,
#: "target-tracking-scaling-policy-overview").
ALARM_OF_SCALING = "TargetTracking-"


class OutdatedAnswerError(SageMakerHostingError):
    """AWS's answer is older than an earlier one: describe again."""


class Observer:
    """Fetches facts from AWS.

    :param aws: Makes the hooks.
    :param deadline: When the time budget ends, in seconds since the epoch (default: never).
    :param kind: The kind of the observed resource.
    :param specifications: The wanted specifications of an inference component, in comparable form; none for any.
    """

    def __init__(
        self,
        aws: AwsParameters,
        *,
        deadline: float = math.inf,
        kind: Kind = Kind.ENDPOINT,
        specifications: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._kind = kind
        self._specifications = specifications
        self._aws = aws
        self._deadline = deadline
        self._sagemaker = aws.sagemaker_hook
        #: Tags written since the observation began: ListTags may not show them at once.
        self.written: dict[str, dict[str, str]] = {}
        self._evidence = Evidence()
        #: Whether AWS has described the endpoint.
        self.has_described = False
        #: The last description that AWS gave.
        self.described: Described | None = None

    def observation(self, endpoint_name: str) -> Observation:
        """Return an observation without any facts.

        :param endpoint_name: The endpoint.
        """
        self.written = {}
        return Observation(endpoint_name, datetime.now(UTC), secrets.token_hex(4), kind=self._kind)

    def fetch(self, fact: Fact, observed: Observation) -> Any:
        """Return a fact. Temporary errors of anything but the endpoint itself are retried for minutes, and not longer.

        :param fact: The fact.
        :param observed: The observation so far.
        :raises SideReadError: When it could not be read in that time.
        :raises OutdatedAnswerError: When the endpoint's description is older than an earlier one; reads may lag.
        """
        if fact == observed.endpoint_fact:
            # The caller has the patience of the whole deployment.
            return self._endpoint(*fact.of)
        retrying = Retrying(
            retry=retry_if_exception(lambda error: isinstance(error, Exception) and is_passing(error)),
            wait=wait_exponential_jitter(max=30),
            stop=stop_after_delay(max(0.0, min(SIDE_READ_PATIENCE, self._deadline - time.time()))),
            before_sleep=RetryLog(log),
        )
        try:
            return retrying(self._fetch, fact, observed)
        except RetryError as failed:
            error = failed.last_attempt.exception()
            raise SideReadError(
                f"The {fact.kind} of {', '.join(map(str, fact.of))} could not be read for "
                f"{SIDE_READ_PATIENCE / 60:.0f} minutes, or until the time budget ended: {error}. What is in progress in AWS "
                "continues there; run the task again to go on."
            ) from error

    def _fetch(self, fact: Fact, observed: Observation) -> Any:
        match fact.kind:
            case FactKind.ENDPOINT:
                return self._sagemaker.describe_endpoint(*fact.of)
            case FactKind.COMPONENT:
                return self._component(*fact.of)
            case FactKind.COMPONENTS:
                return [component_row(row) for row in self._sagemaker.inference_components(*fact.of)]
            case FactKind.TAGS:
                return self._tags(*fact.of)
            case FactKind.ENDPOINT_CONFIG:
                return self._sagemaker.describe_endpoint_config(*fact.of)
            case FactKind.MODEL:
                return self._sagemaker.describe_model(*fact.of)
            case FactKind.INVOKED_MODEL:
                return self._invoked_model(*fact.of)
            case FactKind.SCALABLE_TARGETS:
                return self._scalable_targets(_described_name(observed), fact.of[1:])
            case FactKind.SCALING if fact.of[1:] == (COPIES,):
                return self._scaling_of_copies(fact.of[0])
            case FactKind.SCALING:
                return self._scaling(observed, _described_name(observed), *fact.of[1:])
            case FactKind.POLICY_ARNS:
                return self._policy_arns(_described_name(observed), *fact.of[1:])
            case FactKind.ALARMS:
                return self._aws.cloudwatch_hook.describe_alarms(list(fact.of))
            case FactKind.ROLLOUT_ALARMS:
                return self._aws.cloudwatch_hook.alarm_names(alarm_prefix(*fact.of))
            case FactKind.ALARMS_WITH_ACTION:
                return self._aws.cloudwatch_hook.alarms_with_action(*fact.of)
            case FactKind.ENDPOINT_ALARMS:
                return self._endpoint_alarms(*fact.of)
            case FactKind.WAKING_ALARMS:
                return self._waking_alarms(*fact.of)
            case FactKind.MODELS_OF_COMPONENTS:
                return self._models_of_components()
            case FactKind.NEEDED_CONFIGS:
                return self._sagemaker.needed_by_endpoints()

    def know_change(self, changed: str | None) -> None:
        """Take note of the endpoint's last change that a wait has seen: no older description is used.

        :param changed: ``LastModifiedTime`` in ISO format; None if the wait saw no endpoint in the end, so that it may be gone.
        """
        if changed:
            self._evidence = self._evidence.with_newer(datetime.fromisoformat(changed))
        else:
            self.forget_endpoint()

    def forget_endpoint(self) -> None:
        """Take note that the endpoint is being deleted: it may be gone, and another may have its name."""
        self._evidence = Evidence()

    def _endpoint(self, name: str) -> Described | None:
        described = self._describe(name)
        now = time.monotonic()
        self.has_described = True
        self._evidence = self._evidence.after(described, now)
        if self._evidence.is_outdated(described, now):
            raise OutdatedAnswerError(f"AWS describes an earlier state: {status_line(described)}")
        self.described = described
        if described and described["EndpointStatus"] == DELETING:
            self.forget_endpoint()
        return described

    def _describe(self, name: str) -> Described | None:
        return (
            self._component(name) if self._kind is Kind.COMPONENT else self._sagemaker.describe_endpoint(name)
        )

    def _component(self, name: str) -> Described | None:
        answer = self._sagemaker.describe_inference_component(name)
        return as_compared(described_component(answer) if answer else None, self._specifications)

    def _scaling_of_copies(self, name: str) -> Mapping[str, Any] | None:
        """Return the scalable target of an inference component's copies; None if they are not scaled."""
        targets = self._aws.auto_scaling_hook.scalable_targets([f"inference-component/{name}"])
        return targets[0] if targets else None

    def _waking_alarms(self, name: str) -> list[str]:
        """Return the names of our alarms that wake a component; none if the worker is not allowed to look for them."""
        resource_id = f"inference-component/{name}"
        try:
            policies = self._aws.auto_scaling_hook.scaling_policies(resource_id)
            return [alarm.name for alarm in alarms_that_wake(self._aws, resource_id, policies)]
        except ClientError as error:
            if is_denied(error):
                log.warning("Alarms that wake %s are not looked for: %s", name, error)
                return []
            raise

    def _models_of_components(self) -> list[str] | None:
        try:
            return self._sagemaker.models_of_inference_components()
        except ClientError as error:
            if is_denied(error):
                return None
            raise

    def _invoked_model(self, name: str) -> Mapping[str, Any] | None:
        try:
            return self._sagemaker.describe_model(name)
        except ClientError as error:
            if is_denied(error):
                return {}
            raise

    def _tags(self, arn: str) -> dict[str, str]:
        return {**self.written.get(arn, {}), **self._sagemaker.tags(arn)}

    def _scalable_targets(
        self, endpoint_name: str, variants: tuple[str, ...]
    ) -> dict[str, Mapping[str, Any]]:
        by_resource = {variant_resource_id(endpoint_name, variant): variant for variant in variants}
        targets = self._aws.auto_scaling_hook.scalable_targets(list(by_resource))
        return {by_resource[target["ResourceId"]]: target for target in targets}

    def _scaling(self, observed: Observation, endpoint_name: str, variant: str) -> Mapping[str, Any] | None:
        """Return the scaling of a variant in the form of a snapshot; None when it is not a scalable target."""
        known = [
            found
            for fact, found in observed.facts.items()
            if fact.kind is FactKind.SCALABLE_TARGETS and variant in fact.of[1:]
        ]
        targets = known[0] if known else self._scalable_targets(endpoint_name, (variant,))
        target = targets.get(variant)
        if target is None:
            return None
        hook, resource, dimension = (
            self._aws.auto_scaling_hook,
            target["ResourceId"],
            target["ScalableDimension"],
        )
        return scaling_of(
            target,
            hook.scaling_policies(resource, dimension),
            hook.scheduled_actions(resource, dimension),
            hook.target_tags(target),
        )

    def _policy_arns(self, endpoint_name: str, variant: str, dimension: str) -> dict[str, str]:
        resource = variant_resource_id(endpoint_name, variant)
        found = self._aws.auto_scaling_hook.scaling_policies(resource, dimension)
        return {policy["PolicyName"]: policy["PolicyARN"] for policy in found}

    def _endpoint_alarms(self, endpoint_name: str) -> list[str]:
        hook = self._aws.cloudwatch_hook
        return [
            alarm["AlarmName"]
            for alarm in hook.alarms_on_endpoint(endpoint_name)
            if not str(alarm["AlarmName"]).startswith(ALARM_OF_SCALING)
            and is_ours(hook.tags(alarm["AlarmArn"]))
        ]


def _described_name(observed: Observation) -> str:
    """Return the endpoint's name as AWS describes it: resource IDs of scalable targets are compared exactly, endpoint names are not."""
    described = observed.facts.get(observed.endpoint_fact) or {}
    return str(described.get("EndpointName", observed.endpoint_name))
