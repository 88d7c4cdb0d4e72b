"""Rollouts of a new endpoint config, in the shape of UpdateEndpoint's ``DeploymentConfig``.

.. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import check_number, check_seconds, check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import seconds, whole_number
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedInt, TemplatedSeconds, TemplatedStr

MAX_ALARMS = 10

#: A share of the capacity as ``"25%"``, a number of instances, or a ``CapacitySize`` of the AWS shape.
Size: TypeAlias = TemplatedInt | Mapping[str, Any]
AlarmNames: TypeAlias = Sequence[TemplatedStr] | RenderedLater


class _Rollout(dict[str, Any]):
    """A ``DeploymentConfig``: its policy, and the alarms that roll the deployment back."""

    def __init__(self, policy: dict[str, Any], auto_rollback_alarms: AlarmNames | None) -> None:
        super().__init__({**policy, **auto_rollback(type(self).__name__, auto_rollback_alarms)})


class AllAtOnce(_Rollout):
    """Blue/green: all traffic moves to the new fleet at once.

    :param termination_wait: Seconds (0 to 3600) or a timedelta to bake before the old fleet is ended (default: AWS's, 0). (templated)
    :param maximum_execution_timeout: Seconds (600 to 28800) or a timedelta for the whole deployment (default: AWS's). (templated)
    :param auto_rollback_alarms: Names of 1 to 10 CloudWatch alarms; one that goes off rolls back. (templated)
    :raises InvalidSpecError: When a literal value can never work.
    """

    def __init__(
        self,
        *,
        termination_wait: TemplatedSeconds | None = None,
        maximum_execution_timeout: TemplatedSeconds | None = None,
        auto_rollback_alarms: AlarmNames | None = None,
    ) -> None:
        super().__init__(
            _blue_green(
                "AllAtOnce",
                {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
                termination_wait,
                maximum_execution_timeout,
            ),
            auto_rollback_alarms,
        )


class Canary(_Rollout):
    """Blue/green in two steps: a part of the traffic, a bake, then the rest.

    :param size: Share of the capacity in percent as ``"10%"`` (50 % at most), or a number of instances. (templated)
    :param wait_interval: Seconds (0 to 3600) or a timedelta to bake after the first step. (templated)
    :param termination_wait: Seconds (0 to 3600) or a timedelta to bake before the old fleet is ended (default: AWS's, 0). (templated)
    :param maximum_execution_timeout: Seconds (600 to 28800) or a timedelta, more than the waits together (default: AWS's). (templated)
    :param auto_rollback_alarms: Names of 1 to 10 CloudWatch alarms; one that goes off rolls back. (templated)
    :raises InvalidSpecError: When a literal value can never work.
    """

    def __init__(
        self,
        *,
        size: Size,
        wait_interval: TemplatedSeconds,
        termination_wait: TemplatedSeconds | None = None,
        maximum_execution_timeout: TemplatedSeconds | None = None,
        auto_rollback_alarms: AlarmNames | None = None,
    ) -> None:
        check_seconds("Canary: wait_interval", wait_interval, 0, 3600)
        routing = {
            "Type": "CANARY",
            "WaitIntervalInSeconds": seconds(wait_interval),
            "CanarySize": capacity_size("Canary: size", size, low=1, high=50),
        }
        super().__init__(
            _blue_green("Canary", routing, termination_wait, maximum_execution_timeout), auto_rollback_alarms
        )


class Linear(_Rollout):
    """Blue/green in equal steps with a bake after each.

    :param step_size: Share of the capacity a step in percent as ``"25%"`` (10 to 50 %), or a number of instances. (templated)
    :param wait_interval: Seconds (0 to 3600) or a timedelta to bake after each step. (templated)
    :param termination_wait: Seconds (0 to 3600) or a timedelta to bake before the old fleet is ended (default: AWS's, 0). (templated)
    :param maximum_execution_timeout: Seconds (600 to 28800) or a timedelta, more than the waits together (default: AWS's). (templated)
    :param auto_rollback_alarms: Names of 1 to 10 CloudWatch alarms; one that goes off rolls back. (templated)
    :raises InvalidSpecError: When a literal value can never work.
    """

    def __init__(
        self,
        *,
        step_size: Size,
        wait_interval: TemplatedSeconds,
        termination_wait: TemplatedSeconds | None = None,
        maximum_execution_timeout: TemplatedSeconds | None = None,
        auto_rollback_alarms: AlarmNames | None = None,
    ) -> None:
        check_seconds("Linear: wait_interval", wait_interval, 0, 3600)
        routing = {
            "Type": "LINEAR",
            "WaitIntervalInSeconds": seconds(wait_interval),
            "LinearStepSize": capacity_size("Linear: step_size", step_size, low=10, high=50),
        }
        super().__init__(
            _blue_green("Linear", routing, termination_wait, maximum_execution_timeout), auto_rollback_alarms
        )


class Rolling(_Rollout):
    """Instances are replaced in batches: needs less spare capacity than blue/green.

    :param maximum_batch_size: Share of the capacity a batch in percent as ``"25%"`` (5 to 50 %), or a number of instances. (templated)
    :param wait_interval: Seconds (0 to 3600) or a timedelta to bake after each batch. (templated)
    :param rollback_maximum_batch_size: Batch of a rollback, percent or instances (default: AWS's, 100 %). (templated)
    :param maximum_execution_timeout: Seconds (600 to 28800) or a timedelta (default: AWS's). (templated)
    :param auto_rollback_alarms: Names of 1 to 10 CloudWatch alarms; one that goes off rolls back. (templated)
    :raises InvalidSpecError: When a literal value can never work.
    """

    def __init__(
        self,
        *,
        maximum_batch_size: Size,
        wait_interval: TemplatedSeconds,
        rollback_maximum_batch_size: Size | None = None,
        maximum_execution_timeout: TemplatedSeconds | None = None,
        auto_rollback_alarms: AlarmNames | None = None,
    ) -> None:
        check_seconds("Rolling: wait_interval", wait_interval, 0, 3600)
        policy = present(
            MaximumBatchSize=capacity_size("Rolling: maximum_batch_size", maximum_batch_size, low=5, high=50),
            WaitIntervalInSeconds=seconds(wait_interval),
            MaximumExecutionTimeoutInSeconds=_execution_timeout("Rolling", maximum_execution_timeout),
            RollbackMaximumBatchSize=capacity_size(
                "Rolling: rollback_maximum_batch_size", rollback_maximum_batch_size, low=1, high=100
            )
            if rollback_maximum_batch_size is not None
            else None,
        )
        super().__init__({"RollingUpdatePolicy": policy}, auto_rollback_alarms)


def capacity_size(where: str, size: Any, *, low: int, high: int) -> Any:
    """Return a ``CapacitySize``: ``"25%"`` is a share of the capacity, a number is a number of instances."""
    if is_rendered_later(size) or isinstance(size, dict):
        return size
    if isinstance(size, str) and size.endswith("%") and size[:-1].isascii() and size[:-1].isdigit():
        percent = int(size[:-1])
        if not low <= percent <= high:
            raise invalid(where, size, f"{low}% to {high}%")
        return {"Type": "CAPACITY_PERCENT", "Value": percent}
    if isinstance(size, int) and not isinstance(size, bool) and size >= 1:
        return {"Type": "INSTANCE_COUNT", "Value": size}
    raise invalid(
        where, size, f"a share of the capacity from '{low}%' to '{high}%', or a number of instances"
    )


#: Members whose value is a CapacitySize, with the percentages that AWS documents.
_SIZES = {
    "CanarySize": (1, 50),
    "LinearStepSize": (10, 50),
    "MaximumBatchSize": (5, 50),
    "RollbackMaximumBatchSize": (1, 100),
}


def completed(deployment_config: Any) -> dict[str, Any]:
    """Return a rendered deployment config in the AWS shape, with sizes and alarm names from Jinja converted.

    :raises InvalidSpecError: When a rendered value is neither, or the waits are longer than the deployment may last.
    """
    config = _completed(deployment_config)
    policy = config.get("BlueGreenUpdatePolicy")
    if isinstance(policy, dict):
        _check_execution_time("rollout", policy)
    return config


def _completed(deployment_config: Any) -> dict[str, Any]:
    if not isinstance(deployment_config, dict):
        raise invalid(
            "rollout", deployment_config, "AllAtOnce, Canary, Linear, Rolling, or a DeploymentConfig"
        )
    config: dict[str, Any] = {}
    for name, value in deployment_config.items():
        if name in _SIZES and isinstance(value, str | int):
            low, high = _SIZES[name]
            size = int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value
            config[name] = capacity_size(name, size, low=low, high=high)
        elif name == "Alarms" and isinstance(value, list | tuple):
            config[name] = [{"AlarmName": item} if isinstance(item, str) else item for item in value]
        else:
            config[name] = _completed(value) if isinstance(value, dict) else value
    return config


def auto_rollback(where: str, alarm_names: Any) -> dict[str, Any]:
    """Return the ``AutoRollbackConfiguration`` member for alarm names; nothing for none."""
    if is_rendered_later(alarm_names):
        return {"AutoRollbackConfiguration": {"Alarms": alarm_names}}
    if not alarm_names:
        return {}
    check_alarm_names(f"{where}: auto_rollback_alarms", alarm_names)
    return {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarm_names]}}


def check_alarm_names(where: str, alarm_names: Any) -> None:
    """Check the names of the alarms that roll back a deployment (botocore, AutoRollbackConfig)."""
    if isinstance(alarm_names, str) or not isinstance(alarm_names, list | tuple):
        raise invalid(where, alarm_names, "a list of alarm names")
    if len(alarm_names) > MAX_ALARMS:
        raise InvalidSpecError(f"{where} has {len(alarm_names)} names; allowed: 1 to {MAX_ALARMS}.")
    for index, name in enumerate(alarm_names):
        check_text(
            f"{where}[{index}]",
            name,
            pattern=r"(?s).+",
            max_length=255,
            allowed="an alarm name of 1 to 255 characters",
        )


def longest_seconds(deployment_config: dict[str, Any] | None) -> int | None:
    """Return the maximum duration of a deployment by its rendered deployment config; None when it has none."""
    config = completed(deployment_config or {})
    policy = config.get("BlueGreenUpdatePolicy") or config.get("RollingUpdatePolicy") or {}
    limit = policy.get("MaximumExecutionTimeoutInSeconds")
    if limit is not None:
        return int(limit)
    routing = policy.get("TrafficRoutingConfiguration", policy)
    waits = int(routing.get("WaitIntervalInSeconds") or 0)
    if not waits and not policy.get("TerminationWaitInSeconds"):
        return None
    return min(28_800, _most_waits(routing) * waits + int(policy.get("TerminationWaitInSeconds") or 0) + 3600)


def _blue_green(
    where: str, routing: dict[str, Any], termination_wait: Any, maximum_execution_timeout: Any
) -> dict[str, Any]:
    if termination_wait is not None:
        check_seconds(f"{where}: termination_wait", termination_wait, 0, 3600)
    policy = present(
        TrafficRoutingConfiguration=routing,
        TerminationWaitInSeconds=seconds(termination_wait),
        MaximumExecutionTimeoutInSeconds=_execution_timeout(where, maximum_execution_timeout),
    )
    _check_execution_time(where, policy)
    return {"BlueGreenUpdatePolicy": policy}


def _check_execution_time(where: str, policy: dict[str, Any]) -> None:
    """Check that the maximum duration of a blue/green deployment is longer than the sum of its waits, as far as they are known.

    BlueGreenUpdatePolicy documentation; a linear one waits after each of its steps, the last too (developer guide, "Use linear traffic
    shifting").
    """
    routing = policy.get("TrafficRoutingConfiguration")
    if not isinstance(routing, dict):
        return
    limit = _whole_number(policy.get("MaximumExecutionTimeoutInSeconds"))
    last = _whole_number(policy.get("TerminationWaitInSeconds", 0))
    wait = _whole_number(routing.get("WaitIntervalInSeconds", 0))
    if limit is None or last is None or wait is None:
        return
    waits = _least_waits(routing)
    check_number(
        f"{where}: maximum_execution_timeout (more than the sum of the waits: {waits} x {wait} s and {last} s)",
        limit,
        above=waits * wait + last,
    )


def _whole_number(value: Any) -> int | None:
    """Return a whole number, also from a string by Jinja; None for other values."""
    number = whole_number(value)
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _least_waits(routing: dict[str, Any]) -> int:
    """Return the minimum number of waits of a blue/green deployment; a step in instances is at most half of the fleet."""
    return _steps(routing.get("LinearStepSize"), otherwise=50) if routing.get("Type") == "LINEAR" else 1


def _most_waits(routing: dict[str, Any]) -> int:
    """Return the maximum number of waits of a deployment; a step in instances is at least a tenth of the fleet."""
    size = routing.get("LinearStepSize") or routing.get("MaximumBatchSize")
    return _steps(size, otherwise=10) if size else 1


def _steps(size: Any, *, otherwise: int) -> int:
    """Return the number of steps of a size for the whole capacity; ``otherwise`` is the percentage for any other size."""
    percent = None
    if isinstance(size, dict) and size.get("Type") == "CAPACITY_PERCENT":
        percent = _whole_number(size.get("Value"))
    return -(-100 // max(1, percent or otherwise))


def _execution_timeout(where: str, timeout: Any) -> Any:
    if timeout is not None:
        check_seconds(f"{where}: maximum_execution_timeout", timeout, 600, 28_800)
    return seconds(timeout)
