"""The alarms that roll a deployment back: held against its bake before it begins, made for it, and deleted after it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.rollback_alarms import going_off, problems
from airflow_sm_hosting.exceptions import AlarmGoingOffError, InvalidSpecError
from airflow_sm_hosting.hooks.sagemaker import tag_list
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.fleet_alarm import alarm_prefix, fleet_alarm_request
from airflow_sm_hosting.spec.rollout import MAX_ALARMS
from airflow_sm_hosting.spec.tags import OURS

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook

log = logging.getLogger(__name__)


class RolloutAlarms:
    """Checks, makes and deletes alarms of rollouts.

    :param hook: Asks CloudWatch.
    """

    def __init__(self, hook: CloudWatchHook) -> None:
        self._hook = hook

    def checked(
        self,
        deployment_config: Mapping[str, Any],
        endpoint_name: str,
        endpoint_config_name: str,
        fleet_alarms: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any] | None:
        """Return the deployment config with all its alarms.

        :param deployment_config: A completed ``DeploymentConfig``.
        :param endpoint_name: The endpoint.
        :param endpoint_config_name: The config that comes.
        :param fleet_alarms: Alarms to be made for this deployment.
        :raises InvalidSpecError: When an alarm is not there, or cannot go off while the rollout bakes.
        :raises AlarmGoingOffError: When one is in ALARM already.
        """
        rollback = deployment_config.get("AutoRollbackConfiguration") or {}
        named = [alarm["AlarmName"] for alarm in rollback.get("Alarms") or []]
        made = [
            fleet_alarm_request(
                alarm, index, endpoint_name=endpoint_name, endpoint_config_name=endpoint_config_name
            )
            for index, alarm in enumerate(fleet_alarms)
        ]
        names = [*named, *(request["AlarmName"] for request in made)]
        if not names:
            return dict(deployment_config) or None
        if len(names) > MAX_ALARMS:
            raise InvalidSpecError(
                f"Endpoint {endpoint_name}: the rollout has {len(names)} alarms; allowed: {MAX_ALARMS} at most (AutoRollbackConfig)."
            )
        described = list(self._hook.describe_alarms(named).values()) if named else []
        found = problems(names, [*described, *made], deployment_config)
        if found:
            raise InvalidSpecError(f"Endpoint {endpoint_name} is not updated: {'; '.join(found)}.")
        off = going_off(described)
        if off:
            raise AlarmGoingOffError(
                f"Endpoint {endpoint_name} is not updated: {'; '.join(off)}, and would roll the deployment back at once."
            )
        return {
            **deployment_config,
            "AutoRollbackConfiguration": {**rollback, "Alarms": [{"AlarmName": name} for name in names]},
        }

    def make(
        self, endpoint_name: str, endpoint_config_name: str, fleet_alarms: Sequence[Mapping[str, Any]]
    ) -> None:
        """Make the alarms of one deployment (``cloudwatch:PutMetricAlarm``)."""
        for index, alarm in enumerate(fleet_alarms):
            request = fleet_alarm_request(
                alarm, index, endpoint_name=endpoint_name, endpoint_config_name=endpoint_config_name
            )
            ready = validated_request("cloudwatch", "PutMetricAlarm", {**request, "Tags": tag_list(OURS)})
            self._hook.conn.put_metric_alarm(**ready)
            log.info("Made alarm %s for this deployment", ready["AlarmName"])

    def names(self, endpoint_name: str, endpoint_config_name: str) -> list[str]:
        """Return the names of the alarms that were made for a deployment (``cloudwatch:DescribeAlarms``)."""
        return self._hook.alarm_names(alarm_prefix(endpoint_name, endpoint_config_name))

    def delete(self, endpoint_name: str, endpoint_config_name: str) -> None:
        """Delete the alarms that were made for a deployment (``cloudwatch:DeleteAlarms``)."""
        names = self.names(endpoint_name, endpoint_config_name)
        if names:
            self._hook.conn.delete_alarms(AlarmNames=names)
            log.info("Deleted %s", ", ".join(names))
