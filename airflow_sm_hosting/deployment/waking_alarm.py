"""Plan the alarm that wakes a scalable target from zero: it belongs to the target's step policy, and is put and deleted with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.deployment.alarm import MAX_ALARMS_A_CALL, alarm_steps, plan_alarm
from airflow_sm_hosting.deployment.difference import ABSENT, differences, unwanted
from airflow_sm_hosting.deployment.steps import AlarmCall, DeleteAlarms, PutMetricAlarm
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.tags import OURS, TASK, WAKES, is_ours

#: The members of PutMetricAlarm that the alarm may have; of an existing alarm, those that it should not have are differences.
_MEMBERS: Mapping[str, None] = dict.fromkeys(
    (
        *("AlarmName", "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions"),
        *(
            "InsufficientDataActions",
            "MetricName",
            "Namespace",
            "Statistic",
            "ExtendedStatistic",
            "Dimensions",
        ),
        *("Period", "Unit", "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator"),
        *("TreatMissingData", "EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId"),
    )
)


@dataclass(frozen=True)
class TaggedAlarm:
    """An existing alarm and its tags."""

    described: Mapping[str, Any]
    tags: Mapping[str, str]

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.described["AlarmName"])

    def wakes(self, resource_id: str) -> bool:
        """Return whether this package made it to wake a scalable target.

        :param resource_id: The resource id of the target.
        """
        return is_ours(dict(self.tags)) and self.tags.get(WAKES) == resource_id


def step_policies(policies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the ARNs of the step policies among a target's policies: only these are the actions of an alarm that is not AWS's own."""
    return [policy["PolicyARN"] for policy in policies if policy.get("PolicyType") == "StepScaling"]


def put_steps(
    request: Mapping[str, Any],
    found: TaggedAlarm | None,
    *,
    resource_id: str,
    task: str,
    adopt: bool,
) -> list[AlarmCall]:
    """Return the calls that make the alarm as requested; none if it is.

    One task defines all the scaling of its target, so it takes an alarm over that another task of this package wrote.

    :param request: The request of PutMetricAlarm, without tags.
    :param found: The existing alarm of that name, or None.
    :param resource_id: The resource id of the scalable target.
    :param task: The task, for the alarm's tag.
    :param adopt: Whether the task may change an alarm that is not ours.
    :raises ConflictError: When the task must not change it, or it wakes another scalable target.
    """
    lines = ABSENT
    if found:
        other = found.tags.get(WAKES)
        if is_ours(dict(found.tags)) and other not in (None, resource_id):
            raise ConflictError(
                f"The alarm {found.name!r} wakes {other}, and would no longer do so. Give from_zero another alarm_name."
            )
        lines = differences(request, found.described) + unwanted(request, found.described, _MEMBERS)
    wakes = {WAKES: resource_id}
    plan = plan_alarm(
        str(request["AlarmName"]),
        lines,
        found.tags if found else None,
        wanted_tags=wakes,
        task=task,
        named=True,
        adopt=adopt,
    )
    return alarm_steps(
        plan,
        PutMetricAlarm,
        request,
        arn=str(found.described["AlarmArn"]) if found else None,
        new_tags={**OURS, **wakes, TASK: task},
    )


def delete_steps(names: Sequence[str]) -> list[DeleteAlarms]:
    """Return the calls that delete alarms (DeleteAlarms, AlarmNames: 100 at most)."""
    parts = [names[start : start + MAX_ALARMS_A_CALL] for start in range(0, len(names), MAX_ALARMS_A_CALL)]
    return [
        DeleteAlarms({"AlarmNames": list(part)}, f"alarms {', '.join(part)}", "its scaling is removed")
        for part in parts
    ]
