"""Read what AWS knows of endpoints; what the caller may not read is left out and named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_sm_hosting.cli.endpoint_view import (
    AlarmView,
    EndpointView,
    alarms_of,
    deployments,
    known_configs,
    rollback_alarms,
    rollback_of,
    serving_since,
    stages_of,
    variants_of,
)
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags
from airflow_sm_hosting.deployment.scaling_snapshot import variant_of, variant_resource_id
from airflow_sm_hosting.deployment.status import Described, on_its_way_to, pending_config
from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.hooks.errors import is_denied

if TYPE_CHECKING:
    from airflow_sm_hosting.cli.connection import ShellAws

#: Prefix of the alarms that Application Auto Scaling makes for its own policies (user guide,
#: "target-tracking-scaling-policy-overview"); they say nothing about the endpoint's health.
ALARM_OF_SCALING = "TargetTracking-"
#: Endpoints that are described at the same time: a list row has neither config nor instances.
_AT_ONCE = 8

Read = TypeVar("Read")


def described_endpoint(aws: ShellAws, endpoint_name: str) -> Described:
    """Return DescribeEndpoint's answer.

    :param aws: Makes the hooks.
    :param endpoint_name: The endpoint.
    :raises NotFoundError: When it does not exist.
    """
    hook = aws.sagemaker_hook
    described = hook.describe_endpoint(endpoint_name)
    if described is None:
        raise NotFoundError(f"There is no endpoint {endpoint_name!r} in {hook.conn_region_name}.")
    found: Described = described
    return found


def listed_endpoints(aws: ShellAws, *, name_contains: str | None, status: str | None) -> list[EndpointView]:
    """Return the endpoints by name, with what DescribeEndpoint tells of each.

    :param aws: Makes the hooks.
    :param name_contains: Only those with this in their names.
    :param status: Only those in this status.
    """
    hook = aws.sagemaker_hook
    only: Any = {"NameContains": name_contains, "StatusEquals": status}
    pages = hook.conn.get_paginator("list_endpoints").paginate(
        **{member: value for member, value in only.items() if value}
    )
    names = sorted(row["EndpointName"] for page in pages for row in page["Endpoints"])
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return [view for view in threads.map(EndpointReader(aws).summary, names) if view]


class EndpointReader:
    """Reads one endpoint.

    :param aws: Makes the hooks.
    """

    def __init__(self, aws: ShellAws) -> None:
        self._aws = aws
        self._sagemaker = aws.sagemaker_hook
        self._not_read: list[str] = []

    def summary(self, endpoint_name: str) -> EndpointView | None:
        """Return what a list shows of an endpoint; None if it has gone meanwhile.

        :param endpoint_name: The endpoint.
        """
        described = self._sagemaker.describe_endpoint(endpoint_name)
        return _view(described, self._tags(described), {}, {}) if described else None

    def view(self, endpoint_name: str) -> EndpointView:
        """Return everything that is shown of an endpoint.

        :param endpoint_name: The endpoint.
        :raises NotFoundError: When it does not exist.
        """
        described = described_endpoint(self._aws, endpoint_name)
        tags = self._tags(described)
        configs: dict[str, Described | None] = {
            name: self._allowed(f"config {name}", partial(self._sagemaker.describe_endpoint_config, name))
            for name in known_configs(described, tags)
        }
        targets = self._allowed("scaling", lambda: self._targets(described)) or {}
        alarms = self._allowed("alarms", lambda: self._alarms(described)) or []
        return _view(described, tags, configs, targets, alarms=alarms, not_read=self._not_read)

    def _tags(self, described: Described) -> EndpointTags:
        found = self._allowed("tags", lambda: self._sagemaker.tags(described["EndpointArn"])) or {}
        return EndpointTags.read(found, on_its_way_to(described))

    def _allowed(self, what: str, read: Callable[[], Read]) -> Read | None:
        """Return what was read, or None if the caller lacks the permission."""
        try:
            return read()
        except Exception as error:
            if not is_denied(error):
                raise
            self._not_read.append(what)
            return None

    def _targets(self, described: Described) -> dict[str, Mapping[str, Any]]:
        name = described["EndpointName"]
        variants = [one["VariantName"] for one in described.get("ProductionVariants") or []]
        if not variants:
            return {}
        targets = self._aws.auto_scaling_hook.scalable_targets(
            [variant_resource_id(name, variant) for variant in variants]
        )
        return {variant_of(target["ResourceId"])[1]: target for target in targets}

    def _alarms(self, described: Described) -> list[AlarmView]:
        hook, rolling_back = self._aws.cloudwatch_hook, rollback_alarms(described)
        states = hook.describe_alarms(rolling_back) if rolling_back else {}
        others = hook.alarms_on_endpoint(described["EndpointName"])
        return alarms_of(
            rolling_back,
            {name: alarm["StateValue"] for name, alarm in states.items()},
            {
                alarm["AlarmName"]: alarm["StateValue"]
                for alarm in others
                if not alarm["AlarmName"].startswith(ALARM_OF_SCALING)
            },
        )


def _view(
    described: Described,
    tags: EndpointTags,
    configs: Mapping[str, Described | None],
    targets: Mapping[str, Mapping[str, Any]],
    *,
    alarms: list[AlarmView] | None = None,
    not_read: list[str] | None = None,
) -> EndpointView:
    serving, pending = described.get("EndpointConfigName"), pending_config(described)
    return EndpointView(
        endpoint_name=described["EndpointName"],
        endpoint_arn=described["EndpointArn"],
        status=described["EndpointStatus"],
        failure_reason=described.get("FailureReason"),
        endpoint_config_name=serving,
        serving_since=serving_since(described, tags),
        deploying=pending,
        created_at=described.get("CreationTime"),
        last_modified_at=described.get("LastModifiedTime"),
        is_ours=tags.ours,
        variants=variants_of(described, configs.get(serving or ""), targets),
        stages=stages_of(described),
        alarms=alarms or [],
        rollback=rollback_of(described, tags, configs),
        history=deployments(described, tags, configs) if configs else [],
        not_read=not_read or [],
    )
