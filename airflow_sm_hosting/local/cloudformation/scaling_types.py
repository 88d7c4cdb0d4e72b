"""Resources of Application Auto Scaling and CloudWatch: scalable targets, scaling policies and alarms.

The properties that need replacement, and those with system tags, are those of the types' schemas, as in :mod:`.sagemaker_types`:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-applicationautoscaling-scalabletarget.html,
…-scalingpolicy.html, aws-resource-cloudwatch-alarm.html and …-compositealarm.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_sm_hosting.local.cloudformation.client import ServiceCall, absent_or
from airflow_sm_hosting.local.cloudformation.resource_type import (
    ResourceError,
    ResourceType,
    WantedResource,
    changed_tags,
    request_of,
    undone_on_failure,
)
from airflow_sm_hosting.local.wire.tagging import tags_as_list

_SCALING = "application-autoscaling"
_KEY = ("ResourceId", "ScalableDimension", "ServiceNamespace")


class ScalableTargetType(ResourceType):
    """``AWS::ApplicationAutoScaling::ScalableTarget``; its physical id is resource id, dimension and namespace, with ``|`` between."""

    type_name = "AWS::ApplicationAutoScaling::ScalableTarget"
    create_only = frozenset(_KEY)
    allowed = frozenset(
        {*_KEY, "MaxCapacity", "MinCapacity", "RoleARN", "ScheduledActions", "SuspendedState"}
    )
    required = (*_KEY, "MinCapacity", "MaxCapacity")

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Register it, with its scheduled actions."""
        key = {name: str(wanted.properties[name]) for name in _KEY}
        physical_id = "|".join(key.values())
        if self._target(call, physical_id) is not None:
            raise ResourceError(f"{physical_id} already exists")
        self._register(call, wanted, wanted.tags)
        with undone_on_failure(lambda: self.delete(call, physical_id, wanted)):
            for action in wanted.properties.get("ScheduledActions") or ():
                self._schedule(call, wanted, action)
        return physical_id

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change its capacity, its scheduled actions and its tags."""
        self._register(call, new, {})
        before, after = _actions(old), _actions(new)
        for name in before.keys() - after.keys():
            absent_or(
                lambda name=name: call(  # type: ignore[misc]
                    _SCALING, "DeleteScheduledAction", ScheduledActionName=name, **_key_of(physical_id)
                )
            )
        for name, action in after.items():
            if before.get(name) != action:
                self._schedule(call, new, action)
        added, removed = changed_tags(old, new)
        target = self._target(call, physical_id)
        if target and added:
            call(_SCALING, "TagResource", ResourceARN=target["ScalableTargetARN"], Tags=added)
        if target and removed:
            call(_SCALING, "UntagResource", ResourceARN=target["ScalableTargetARN"], TagKeys=removed)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Deregister it; its policies and scheduled actions go with it."""
        absent_or(lambda: call(_SCALING, "DeregisterScalableTarget", **_key_of(physical_id)))

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its id."""
        if name != "Id":
            raise KeyError(name)
        return physical_id

    def _register(self, call: ServiceCall, wanted: WantedResource, tags: Mapping[str, str]) -> None:
        members = {name: value for name, value in wanted.properties.items() if name != "ScheduledActions"}
        if tags:
            members["Tags"] = dict(tags)
        request = request_of(_SCALING, "RegisterScalableTarget", members, wanted.logical_id)
        call(_SCALING, "RegisterScalableTarget", **request)

    def _schedule(self, call: ServiceCall, wanted: WantedResource, action: Mapping[str, Any]) -> None:
        members = {**{name: wanted.properties[name] for name in _KEY}, **action}
        request = request_of(_SCALING, "PutScheduledAction", members, wanted.logical_id)
        call(_SCALING, "PutScheduledAction", **request)

    def _target(self, call: ServiceCall, physical_id: str) -> Mapping[str, Any] | None:
        key = _key_of(physical_id)
        found = call(
            _SCALING,
            "DescribeScalableTargets",
            ServiceNamespace=key["ServiceNamespace"],
            ResourceIds=[key["ResourceId"]],
            ScalableDimension=key["ScalableDimension"],
        )["ScalableTargets"]
        return found[0] if found else None


class ScalingPolicyType(ResourceType):
    """``AWS::ApplicationAutoScaling::ScalingPolicy``; ``Ref`` is its ARN."""

    type_name = "AWS::ApplicationAutoScaling::ScalingPolicy"
    name_property = "PolicyName"
    # Two targets can have policies of one name.
    is_unique_by_name = False
    create_only = frozenset({*_KEY, "PolicyName", "ScalingTargetId"})
    allowed = frozenset(
        {
            *create_only,
            *("PolicyType", "PredictiveScalingPolicyConfiguration", "StepScalingPolicyConfiguration"),
            "TargetTrackingScalingPolicyConfiguration",
        }
    )
    required = ("PolicyName", "PolicyType")
    is_taggable = False

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Put it."""
        key = self._key(wanted)
        known = call(_SCALING, "DescribeScalingPolicies", PolicyNames=[wanted.name], **key)["ScalingPolicies"]
        if known:
            raise ResourceError(f"{known[0]['PolicyARN']} already exists")
        return self._put(call, wanted)

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Put it again."""
        self._put(call, new)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it."""
        absent_or(lambda: call(_SCALING, "DeleteScalingPolicy", PolicyName=wanted.name, **self._key(wanted)))

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its ARN."""
        if name != "Arn":
            raise KeyError(name)
        return physical_id

    def _put(self, call: ServiceCall, wanted: WantedResource) -> str:
        members = {name: value for name, value in wanted.properties.items() if name != "ScalingTargetId"}
        members |= self._key(wanted)
        request = request_of(_SCALING, "PutScalingPolicy", members, wanted.logical_id)
        return str(call(_SCALING, "PutScalingPolicy", **request)["PolicyARN"])

    def _key(self, wanted: WantedResource) -> dict[str, str]:
        """Return what names the target.

        :raises ResourceError: Neither the target nor its id is there, or both.
        """
        properties = wanted.properties
        if ("ScalingTargetId" in properties) == ("ResourceId" in properties):
            # The schema's ``requiredXor``.
            raise ResourceError("Exactly one of ScalingTargetId and ResourceId must be specified.")
        if "ScalingTargetId" in properties:
            return _key_of(str(properties["ScalingTargetId"]))
        return {name: str(properties.get(name, "")) for name in _KEY}


class AlarmType(ResourceType):
    """``AWS::CloudWatch::Alarm``; ``Ref`` is its name."""

    type_name = "AWS::CloudWatch::Alarm"
    name_property = "AlarmName"
    create_only = frozenset({"AlarmName"})
    has_system_tags = True
    put: ClassVar[str] = "PutMetricAlarm"
    kind: ClassVar[str] = "MetricAlarm"

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Put it."""
        if self._described(call, wanted.name):
            raise ResourceError(f"{wanted.name} already exists")
        self._put(call, wanted, wanted.all_tags)
        return wanted.name

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Put it again, and change its tags: PutMetricAlarm ignores those of an existing alarm."""
        self._put(call, new, {})
        added, removed = changed_tags(old, new)
        arn = self._described(call, physical_id).get("AlarmArn")
        if added:
            call("cloudwatch", "TagResource", ResourceARN=arn, Tags=tags_as_list(added))
        if removed:
            call("cloudwatch", "UntagResource", ResourceARN=arn, TagKeys=removed)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it."""
        absent_or(lambda: call("cloudwatch", "DeleteAlarms", AlarmNames=[physical_id]))

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its ARN."""
        if name != "Arn":
            raise KeyError(name)
        return self._described(call, physical_id)["AlarmArn"]

    def _put(self, call: ServiceCall, wanted: WantedResource, tags: Mapping[str, str]) -> None:
        members = {**wanted.properties, "AlarmName": wanted.name}
        if tags:
            members["Tags"] = tags_as_list(tags)
        request = request_of("cloudwatch", self.put, members, wanted.logical_id)
        call("cloudwatch", self.put, **request)

    def _described(self, call: ServiceCall, name: str) -> Mapping[str, Any]:
        found = call("cloudwatch", "DescribeAlarms", AlarmNames=[name], AlarmTypes=[self.kind])
        alarms = found.get(f"{self.kind}s", [])
        return alarms[0] if alarms else {}


class CompositeAlarmType(AlarmType):
    """``AWS::CloudWatch::CompositeAlarm``; ``Ref`` is its name."""

    type_name = "AWS::CloudWatch::CompositeAlarm"
    put = "PutCompositeAlarm"
    kind = "CompositeAlarm"
    required = ("AlarmRule",)


def _key_of(physical_id: str) -> dict[str, str]:
    return dict(zip(_KEY, physical_id.split("|"), strict=False))


def _actions(wanted: WantedResource) -> dict[str, Mapping[str, Any]]:
    return {one["ScheduledActionName"]: one for one in wanted.properties.get("ScheduledActions") or ()}
