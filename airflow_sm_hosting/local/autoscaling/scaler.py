"""Scaling: what alarms and bounds make of the capacity of a scalable target, and the activities that tell of it.

Rules, unless said otherwise: https://docs.aws.amazon.com/autoscaling/application/userguide/
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from uuid import uuid4

from airflow_sm_hosting.local.autoscaling import arithmetic
from airflow_sm_hosting.local.autoscaling.arithmetic import DesiredCapacity
from airflow_sm_hosting.local.autoscaling.dimensions import Dimension
from airflow_sm_hosting.local.autoscaling.policies import (
    Policy,
    capacity_by_steps,
    capacity_by_tracking,
    cooldown_seconds,
    is_triggered,
)
from airflow_sm_hosting.local.autoscaling.targets import Activity, Cooldown, Target
from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudwatch.alarm import Breach
from airflow_sm_hosting.local.cloudwatch.alarms import Alarms
from airflow_sm_hosting.local.wire.errors import AwsError

LOG = logging.getLogger(__name__)

# DescribeScalingActivities goes back six weeks; the number is ours.
_ACTIVITIES = 1_000
# How often a change is polled until it has happened.
_POLL_SECONDS = 1.0
# A scheduled change of an endpoint in transition is tried again after this.
_RETRY_SECONDS = 60.0


class Scaler:
    """Changes the capacity of scalable targets.

    :param lock: Guards all state of the Region.
    :param alarms: The alarms that trigger policies.
    :param clock: The clock.
    :param dimensions: What can be scaled, by the name of the scalable dimension.
    :param is_registered: Whether a target is registered still.
    """

    def __init__(
        self,
        lock: threading.RLock,
        alarms: Alarms,
        clock: Clock,
        dimensions: Mapping[str, Dimension],
        is_registered: Callable[[Target], bool],
    ) -> None:
        self._lock = lock
        self._alarms = alarms
        self._clock = clock
        self._dimensions = dimensions
        self._is_registered = is_registered
        self.activities: deque[Activity] = deque(maxlen=_ACTIVITIES)

    def scale_on_alarm(
        self, target: Target, triggered: Policy, policies: Mapping[str, Policy], breach: Breach
    ) -> None:
        """Scale a target as an alarm of one of its policies asks.

        :param target: The target.
        :param triggered: The policy of the alarm.
        :param policies: All policies of the target, by name.
        :param breach: The alarm.
        """
        with self._lock:
            dimension = self._dimensions[target.dimension]
            current = dimension.capacity(target.resource_id)
            if current is None:
                return
            if not target.minimum <= current <= target.maximum:
                # A deployment has left it there.
                self.pull(target, again=False)
                return
            desired = self._desired_capacities(target, policies, current)
            applied = arithmetic.chosen(current, desired)
            cause = (
                f"monitor alarm {breach.alarm_name} in state {breach.state} triggered policy {triggered.name}"
            )
            if applied is None:
                asked = [one for one in desired if one.alarm == breach.alarm_name]
                if asked:
                    self._note_not_scaled(target, _standing(target, current), current, cause)
                return
            if not dimension.is_active(target.resource_id):
                self._note_not_scaled(target, "TargetServicePutResourceAsUnscalable", current, cause)
                return
            if applied.alarm != breach.alarm_name:
                cause = f"monitor alarm {applied.alarm} in state ALARM triggered policy {applied.policy}"
            direction = "Out" if applied.capacity > current else "In"
            if target.suspended[f"DynamicScaling{direction}Suspended"]:
                return
            now = self._clock.now()
            if direction == "In" and target.into and _is_cooling(target.into, now):
                return
            policy = policies[applied.policy]
            seconds = cooldown_seconds(policy, target.dimension, direction)
            self._scale(target, applied.capacity, current, cause, seconds)

    def pull(self, target: Target, *, again: bool) -> None:
        """Scale to within the bounds.

        :param again: Whether to try again later where that is not possible now.
        """
        with self._lock:
            if not self._is_registered(target):
                return
            dimension = self._dimensions[target.dimension]
            current = dimension.capacity(target.resource_id)
            if current is None or target.minimum <= current <= target.maximum:
                return
            if not dimension.is_active(target.resource_id):
                if again:
                    self._clock.call_later(_RETRY_SECONDS, lambda: self.pull(target, again=True))
                return
            bound, desired = (
                ("minimum", target.minimum) if current < target.minimum else ("maximum", target.maximum)
            )
            self._scale(target, desired, current, f"{bound} capacity was set to {desired}", None)

    def _desired_capacities(
        self, target: Target, policies: Mapping[str, Policy], current: int
    ) -> list[DesiredCapacity]:
        """Return the capacity that each policy of a target desires now, within the target's bounds."""
        now = self._clock.now()
        # "While the cooldown period is in effect, the capacity added by the initiating scale-out activity is calculated
        # as part of the desired capacity for the next scale-out activity."
        counted = target.out.before if target.out and _is_cooling(target.out, now) else current
        desired = []
        alarms = self._alarms.all()
        for policy in policies.values():
            mine = [alarm for alarm in alarms if is_triggered(alarm, policy)]
            one = (capacity_by_tracking if policy.tracks else capacity_by_steps)(
                policy, mine, current, counted
            )
            if one is not None:
                bounded = min(max(one.capacity, target.minimum), target.maximum)
                desired.append(DesiredCapacity(one.policy, bounded, one.tracks, one.alarm))
        return desired

    def _scale(self, target: Target, desired: int, current: int, cause: str, cooldown: int | None) -> None:
        dimension = self._dimensions[target.dimension]
        now = self._clock.now()
        activity = Activity(
            {
                "ActivityId": str(uuid4()),
                "ServiceNamespace": "sagemaker",
                "ResourceId": target.resource_id,
                "ScalableDimension": target.dimension,
                "Description": f"Setting {dimension.noun} to {desired}.",
                "Cause": cause,
                "StartTime": now,
                "StatusCode": "InProgress",
                "StatusMessage": f"Successfully set {dimension.noun} to {desired}. Waiting for change to be fulfilled by "
                "sagemaker.",
            }
        )
        self.activities.append(activity)
        try:
            dimension.change(target.resource_id, desired)
        except AwsError as error:
            activity.members |= {
                "StatusCode": "Failed",
                "EndTime": now,
                # As awsdocs/amazon-sagemaker-developer-guide quotes it. That a proxy is named last is how Java's SDK ends it (assumed).
                "StatusMessage": f"Failed to set {dimension.noun} to {desired}. Reason: {error.message} (Service: AmazonSageMaker; "
                f"Status Code: {error.status}; Error Code: {error.code}; Request ID: {uuid4()}; Proxy: null)",
            }
            return
        LOG.info("%s: %d -> %d (%s)", target.resource_id, current, desired, cause)
        if cooldown is not None:
            if desired > current:
                # A scale-out within the cooldown of another is counted from before both. It ends that of a scale-in.
                before = target.out.before if target.out and _is_cooling(target.out, now) else current
                target.out, target.into = Cooldown(None, before), None
            else:
                target.into = Cooldown(None, current)
        self._clock.call_later(
            _POLL_SECONDS, lambda: self._poll(target, activity, desired, cooldown, desired > current)
        )

    def _poll(
        self, target: Target, activity: Activity, desired: int, cooldown: int | None, out: bool
    ) -> None:
        """End an activity as soon as the change has happened; the cooldown begins then."""
        with self._lock:
            dimension = self._dimensions[target.dimension]
            capacity = dimension.capacity(target.resource_id)
            if capacity is not None and not dimension.is_active(target.resource_id):
                self._clock.call_later(
                    _POLL_SECONDS, lambda: self._poll(target, activity, desired, cooldown, out)
                )
                return
            now = self._clock.now()
            fulfilled = capacity == desired
            activity.members |= {
                "EndTime": now,
                "StatusCode": "Successful" if fulfilled else "Unfulfilled",
                "StatusMessage": (
                    f"Successfully set {dimension.noun} to {desired}. Change successfully fulfilled by sagemaker."
                    if fulfilled
                    else f"Successfully set {dimension.noun} to {desired}. Change was not fulfilled by sagemaker."
                ),
            }
            running = target.out if out else target.into
            if cooldown is not None and running and running.until is None:
                running.until = now + timedelta(seconds=cooldown)

    def _note_not_scaled(self, target: Target, code: str, current: int, cause: str) -> None:
        reason = {
            "Code": code,
            "CurrentCapacity": current,
            **({"MaxCapacity": target.maximum} if code == "AlreadyAtMaxCapacity" else {}),
            **({"MinCapacity": target.minimum} if code == "AlreadyAtMinCapacity" else {}),
        }
        last = next(
            (one for one in reversed(self.activities) if one.members["ResourceId"] == target.resource_id),
            None,
        )
        if last and last.not_scaled and last.members["NotScaledReasons"] == [reason]:
            # An alarm asks every minute.
            return
        now = self._clock.now()
        self.activities.append(
            Activity(
                {
                    "ActivityId": str(uuid4()),
                    "ServiceNamespace": "sagemaker",
                    "ResourceId": target.resource_id,
                    "ScalableDimension": target.dimension,
                    "Description": "Attempting to scale due to alarm triggered",
                    "Cause": cause,
                    "StartTime": now,
                    "EndTime": now,
                    "StatusCode": "Failed",
                    "StatusMessage": "The scalable target was not scaled.",
                    "NotScaledReasons": [reason],
                },
                not_scaled=True,
            )
        )


def _is_cooling(cooldown: Cooldown, now: datetime) -> bool:
    return cooldown.until is None or now < cooldown.until


def _standing(target: Target, current: int) -> str:
    if current >= target.maximum:
        return "AlreadyAtMaxCapacity"
    return "AlreadyAtMinCapacity" if current <= target.minimum else "AlreadyAtDesiredCapacity"
