"""Find the alarms that wake scalable targets from zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.waking_alarm import TaggedAlarm, step_policies

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters


def alarms_that_wake(
    aws: AwsParameters, resource_id: str, policies: Iterable[Mapping[str, Any]]
) -> list[TaggedAlarm]:
    """Return our alarms that wake a scalable target; without a step policy, no call is made.

    :param aws: Makes the hooks.
    :param resource_id: The resource id of the target.
    :param policies: Its policies, as described.
    """
    hook = aws.cloudwatch_hook
    found = {
        str(alarm["AlarmName"]): alarm
        for arn in step_policies(policies)
        # A composite alarm has no scaling actions (PutCompositeAlarm, AlarmActions).
        for alarm in hook.alarms_with_action(arn, composite=False)
    }
    tagged = [TaggedAlarm(alarm, hook.tags(alarm["AlarmArn"])) for alarm in found.values()]
    return [alarm for alarm in tagged if alarm.wakes(resource_id)]


def alarm_named(aws: AwsParameters, name: str, known: Iterable[TaggedAlarm]) -> TaggedAlarm | None:
    """Return the alarm of a name, or None.

    :param aws: Makes the hooks.
    :param name: The name.
    :param known: Alarms that were read already.
    """
    for alarm in known:
        if alarm.name == name:
            return alarm
    hook = aws.cloudwatch_hook
    described = hook.describe_metric_alarm(name)
    return None if described is None else TaggedAlarm(described, hook.tags(described["AlarmArn"]))
