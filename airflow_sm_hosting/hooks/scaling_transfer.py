"""Taking the scaling off an endpoint's variants for an update that AWS refuses otherwise, and putting it back with equal inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, repointed, scaling_of
from airflow_sm_hosting.hooks.application_auto_scaling import variant_resource_id
from airflow_sm_hosting.hooks.requests import prepared

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook
    from airflow_sm_hosting.hooks.cloudwatch import CloudWatchHook

log = logging.getLogger(__name__)

SERVICE = "application-autoscaling"


class ScalingTransfer:
    """Reads, removes and restores scalable targets with their policies and scheduled actions.

    :param auto_scaling_hook: Asks Application Auto Scaling.
    :param cloudwatch_hook: Makes the hook that asks CloudWatch, for alarms whose actions name a policy.
    """

    def __init__(
        self,
        auto_scaling_hook: ApplicationAutoScalingHook,
        cloudwatch_hook: Callable[[], CloudWatchHook],
    ) -> None:
        self._hook = auto_scaling_hook
        self._cloudwatch_hook = cloudwatch_hook

    def read(self, endpoint_name: str, variants: Collection[str]) -> Snapshot:
        """Return the scaling of those of the variants that are scalable targets."""
        by_resource = {variant_resource_id(endpoint_name, variant): variant for variant in variants}
        found = {}
        for target in self._hook.scalable_targets(list(by_resource)) if by_resource else []:
            resource = target["ResourceId"]
            arn = target.get("ScalableTargetARN")
            tags = self._hook.conn.list_tags_for_resource(ResourceARN=arn)["Tags"] if arn else {}
            found[by_resource[resource]] = scaling_of(
                target, self._hook.scaling_policies(resource), self._hook.scheduled_actions(resource), tags
            )
        return found

    def take_off(self, snapshot: Snapshot) -> None:
        """Deregister the targets, which deletes their policies and scheduled actions (DeregisterScalableTarget)."""
        absent = self._hook.conn.exceptions.ObjectNotFoundException
        for variant, scaling in snapshot.items():
            place = {
                member: scaling["target"][member]
                for member in ("ServiceNamespace", "ResourceId", "ScalableDimension")
            }
            try:
                self._hook.conn.deregister_scalable_target(**place)
            except absent:
                continue  # an earlier try has done it
            log.info("Took the scaling off variant %s; it is put back when the update has ended", variant)

    def put_back(self, snapshot: Snapshot, variants: Collection[str]) -> None:
        """Put back the scaling of those of the variants that exist, and point alarms at the policies' new ARNs.

        Doing it twice does no harm: each call puts what is there already.

        :param snapshot: What was taken off.
        :param variants: The variants that the endpoint has now.
        """
        for variant, scaling in snapshot.items():
            if variant not in variants:
                log.info("Variant %s is gone, and its scaling with it", variant)
                continue
            self._call("RegisterScalableTarget", scaling["target"])
            arns = {}
            for policy in scaling["policies"]:
                answer = self._call("PutScalingPolicy", policy)
                arns[scaling["arns"][policy["PolicyName"]]] = answer["PolicyARN"]
            for action in scaling["actions"]:
                self._call("PutScheduledAction", action)
            self._repoint_alarms({old: new for old, new in arns.items() if old != new})
            log.info("Put the scaling back on variant %s", variant)

    def _call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        # Times come out of the snapshot as text, which the model's types turn back.
        ready = prepared(SERVICE, operation, request)
        methods = {
            "RegisterScalableTarget": self._hook.conn.register_scalable_target,
            "PutScalingPolicy": self._hook.conn.put_scaling_policy,
            "PutScheduledAction": self._hook.conn.put_scheduled_action,
        }
        answer: dict[str, Any] = self._hook.until_registered(lambda: methods[operation](**ready))
        return answer

    def _repoint_alarms(self, arns: Mapping[str, str]) -> None:
        """Point alarms whose actions name a policy's old ARN at the new one: a policy that is put anew has another."""
        if not arns:
            return
        cloudwatch = self._cloudwatch_hook()
        for old in arns:
            for alarm in cloudwatch.alarms_with_action(old):
                actions = {
                    member: repointed(alarm.get(member) or [], arns)
                    for member in ("AlarmActions", "OKActions", "InsufficientDataActions")
                }
                cloudwatch.put_alarm_again({**alarm, **actions})
                log.info("Alarm %s: its action names the policy's new ARN", alarm["AlarmName"])
