"""Taking the scaling off an endpoint's variants for an update that AWS refuses otherwise, and putting it back with equal inputs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, repointed, restorable, scaling_of
from airflow_sm_hosting.hooks.application_auto_scaling import variant_resource_id
from airflow_sm_hosting.service_model.request import validated_request

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
            dimension = target["ScalableDimension"]
            found[by_resource[resource]] = scaling_of(
                target,
                self._hook.scaling_policies(resource, dimension),
                self._hook.scheduled_actions(resource, dimension),
                self._hook.target_tags(target),
            )
        return found

    def take_off(self, snapshot: Snapshot) -> None:
        """Deregister the targets, which deletes their policies and scheduled actions (DeregisterScalableTarget)."""
        for variant, scaling in snapshot.items():
            self._hook.change("DeregisterScalableTarget", place_of(scaling["target"]))
            log.info("Took the scaling off variant %s; it is put back when the update has ended", variant)

    def put_back(self, snapshot: Snapshot, variants: Collection[Mapping[str, Any]]) -> None:
        """Put back the scaling of those of the variants that can have it, and point alarms at the policies' new ARNs.

        Doing it twice does no harm: each call puts what is there already.

        :param snapshot: What was taken off.
        :param variants: The variants that the endpoint has now.
        """
        fitting = restorable(snapshot, variants)
        for variant, scaling in snapshot.items():
            if variant not in fitting:
                log.info("Variant %s is gone, or is serverless or not any more; its scaling went", variant)
                continue
            target = scaling["target"]
            self._put("RegisterScalableTarget", target)
            for policy in scaling["policies"]:
                self._put("PutScalingPolicy", policy)
            for action in scaling["actions"]:
                self._put("PutScheduledAction", action)
            self._repoint_alarms(target, scaling["arns"])
            log.info("Put the scaling back on variant %s", variant)

    def alarms_to_repoint(self, scaling: Mapping[str, Any], *, anew: bool) -> set[str]:
        """Return the names of the alarms whose actions name a policy that putting the scaling back makes anew.

        :param scaling: One variant's, of a snapshot.
        :param anew: Whether its policies are deleted before; else those that are there stay what they are.
        """
        place = place_of(scaling["target"])
        old = set(scaling["arns"])
        if old and not anew:
            now = self._hook.scaling_policies(place["ResourceId"], place["ScalableDimension"])
            old -= {policy["PolicyARN"] for policy in now}
        if not old:
            return set()
        cloudwatch = self._cloudwatch_hook()
        return {alarm["AlarmName"] for arn in old for alarm in cloudwatch.alarms_with_action(arn)}

    def _put(self, operation: str, request: Mapping[str, Any]) -> None:
        # Times come out of the snapshot as text, which the model's types turn back.
        self._hook.change(operation, validated_request(SERVICE, operation, request))

    def _repoint_alarms(self, target: Mapping[str, Any], before: Mapping[str, str]) -> None:
        """Point alarms whose actions name a policy's old ARN at the new one: a policy that is put anew has another.

        :param before: The policies' names, by old ARN.
        """
        place = place_of(target)
        now = self._hook.scaling_policies(place["ResourceId"], place["ScalableDimension"]) if before else []
        by_name = {policy["PolicyName"]: policy["PolicyARN"] for policy in now}
        arns = {
            old: by_name[name] for old, name in before.items() if name in by_name and by_name[name] != old
        }
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


def place_of(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells a scalable target from another."""
    return {member: target[member] for member in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
