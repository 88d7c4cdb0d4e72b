"""Application Auto Scaling of SageMaker: targets, policies and scheduled actions, and their operations.

Rules, unless said otherwise: https://docs.aws.amazon.com/autoscaling/application/APIReference/ and botocore's model of it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from airflow_sm_hosting.local.autoscaling.dimensions import (
    CONCURRENCY,
    COPIES,
    INSTANCES,
    VARIANT,
    Dimension,
    endpoint_and_variant,
)
from airflow_sm_hosting.local.autoscaling.policies import (
    Policy,
    check_policy,
    tracking_alarms,
)
from airflow_sm_hosting.local.autoscaling.scaler import Scaler
from airflow_sm_hosting.local.autoscaling.schedules import Schedule, ScheduleError
from airflow_sm_hosting.local.autoscaling.targets import Activity, ScheduledAction, Target
from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudwatch.alarm import Breach
from airflow_sm_hosting.local.cloudwatch.alarms import Alarms
from airflow_sm_hosting.local.moto_bridge.account import global_arn, regional_arn
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.paging import page
from airflow_sm_hosting.local.wire.tagging import TagStore
from airflow_sm_hosting.local.wire.validation import check_request

LOG = logging.getLogger(__name__)

_ROLES = {INSTANCES: "Endpoint", CONCURRENCY: "Endpoint", COPIES: "InferenceComponent"}
# https://docs.aws.amazon.com/autoscaling/application/userguide/application-auto-scaling-quotas.html
_MAX_POLICIES, _MAX_SCHEDULED = 50, 200
_MAX_TAGS = 50
_PAGE = 50
_INVALID_TOKEN = AwsError("InvalidNextTokenException", "The NextToken is not valid.")


_Key = tuple[str, str]


class AutoScaling:
    """Application Auto Scaling of one Region, for the namespace ``sagemaker``.

    :param region: The Region's name.
    :param lock: Guards all state of the Region.
    :param alarms: The alarms that trigger policies; target tracking makes its own among them.
    :param clock: The clock.
    :param dimensions: What can be scaled, by the name of the scalable dimension.
    """

    def __init__(
        self,
        region: str,
        lock: threading.RLock,
        alarms: Alarms,
        clock: Clock,
        dimensions: Mapping[str, Dimension],
    ) -> None:
        self._region = region
        self._alarms = alarms
        self._clock = clock
        self._lock = lock
        self._targets: dict[_Key, Target] = {}
        #: The tags of scalable targets, by ARN.
        self.tags = TagStore(most=_MAX_TAGS, too_many="TooManyTagsException", noun="scalable target")
        self._policies: dict[_Key, dict[str, Policy]] = {}
        self._scheduled: dict[_Key, dict[str, ScheduledAction]] = {}
        self._dimensions = dimensions
        self._scaler = Scaler(lock, alarms, clock, dimensions, self._is_target)
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "RegisterScalableTarget": self._register,
            "DeregisterScalableTarget": self._deregister,
            "DescribeScalableTargets": self._describe_targets,
            "PutScalingPolicy": self._put_policy,
            "DeleteScalingPolicy": self._delete_policy,
            "DescribeScalingPolicies": self._describe_policies,
            "PutScheduledAction": self._put_scheduled_action,
            "DeleteScheduledAction": self._delete_scheduled_action,
            "DescribeScheduledActions": self._describe_scheduled_actions,
            "DescribeScalingActivities": self._describe_activities,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }
        alarms.on_scaling_action(self._on_alarm)

    # For others

    def publish_idle(self, metrics: EndpointMetrics) -> None:
        """Publish which scaled variants, and components with copies, had no invocation in the last minute.

        At zero copies there is no data: endpoint-auto-scaling-zero-instances.html has a step policy for that reason.
        """
        with self._lock:
            idle = [
                endpoint_and_variant(target.resource_id)
                for target in self._targets.values()
                if target.dimension == INSTANCES and self._dimensions[INSTANCES].is_active(target.resource_id)
            ]
            components = [
                target.resource_id
                for target in self._targets.values()
                if target.dimension == COPIES and self._dimensions[COPIES].capacity(target.resource_id)
            ]
        for endpoint, variant in idle:
            metrics.publish_idle(endpoint, variant)
        for component in components:
            metrics.publish_idle_component(component.partition("/")[2])

    def is_registered(self, resource_id: str) -> bool:
        """Return whether a resource is a scalable target, of any dimension."""
        with self._lock:
            return any(registered == resource_id for registered, _ in self._targets)

    def is_scaled(self, endpoint_name: str) -> bool:
        """Return whether a variant of an endpoint is a scalable target."""
        front = f"endpoint/{endpoint_name}/".lower()
        with self._lock:
            return any(registered.lower().startswith(front) for registered, _ in self._targets)

    def tags_of(self, arn: str) -> dict[str, str]:
        """Return the tags of a scalable target; none if there is no such target."""
        with self._lock:
            return dict(self.tags.of(arn)) if arn in self.tags else {}

    def forget(self, resource_id: str) -> None:
        """Deregister a resource that is gone, with its policies, scheduled actions and alarms.

        A resource id that ends with ``/`` means all that begin with it.
        """
        with self._lock:
            for key in list(self._targets):
                if key[0] == resource_id or (resource_id.endswith("/") and key[0].startswith(resource_id)):
                    self._remove(key)

    def answers(self, request: Mapping[str, Any]) -> bool:
        """Return whether a request is for here; other namespaces are moto's, which has no tags."""
        return "ResourceARN" in request or request.get("ServiceNamespace") == "sagemaker"

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer an operation.

        :raises AwsError: The refusal.
        """
        check_request("application-autoscaling", operation, request)
        if operation not in self._operations:
            raise AwsError("ValidationException", f"The local AWS does not implement {operation}.")
        return self._operations[operation](request)

    # Saved state

    def dump(self) -> dict[str, Any]:
        """Return what is saved."""
        with self._lock:
            return {
                "targets": [
                    {**_without(vars(target), "out", "into"), "tags": self.tags.of(target.arn)}
                    for target in self._targets.values()
                ],
                "policies": [
                    [*key, dict(vars(policy))]
                    for key, policies in self._policies.items()
                    for policy in policies.values()
                ],
                "scheduled": [
                    [*key, _without(vars(action), "timer")]
                    for key, actions in self._scheduled.items()
                    for action in actions.values()
                ],
                "activities": [dict(vars(activity)) for activity in self._scaler.activities],
            }

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state; cooldowns are over, and schedules continue from now."""
        with self._lock:
            for one in saved["targets"]:
                target = Target(**_without(one, "tags"))
                self._targets[target.resource_id, target.dimension] = target
                self.tags.add(target.arn, one["tags"])
            for resource_id, dimension, one in saved["policies"]:
                policy = Policy(**one)
                self._policies.setdefault((resource_id, dimension), {})[policy.name] = policy
            for resource_id, dimension, one in saved["scheduled"]:
                action, key = ScheduledAction(**one), (resource_id, dimension)
                self._scheduled.setdefault(key, {})[action.request["ScheduledActionName"]] = action
                self._schedule(key, action, self._clock.now())
            for one in saved["activities"]:
                if one["members"]["StatusCode"] == "InProgress":
                    one["members"] |= {"StatusCode": "Unfulfilled", "EndTime": self._clock.now()}
                self._scaler.activities.append(Activity(**one))

    # Targets

    def _register(self, request: dict[str, Any]) -> dict[str, Any]:
        key = resource_id, name = request["ResourceId"], request["ScalableDimension"]
        dimension = self._dimensions.get(name)
        if dimension is None or (name in (INSTANCES, CONCURRENCY)) != bool(VARIANT.fullmatch(resource_id)):
            raise AwsError(
                "ValidationException", "Unsupported service namespace, resource type or scalable dimension"
            )
        with self._lock:
            before = self._targets.get(key)
            low = request.get("MinCapacity", before.minimum if before else None)
            high = request.get("MaxCapacity", before.maximum if before else None)
            if low is None or high is None:
                # "This property is required when registering a new scalable target."
                raise AwsError(
                    "ValidationException",
                    "MinCapacity and MaxCapacity are required to register a scalable target.",
                )
            if low < 0 or high < 0:
                raise AwsError("ValidationException", "Minimum and maximum capacity must be 0 or more")
            if low > high:
                raise AwsError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
            dimension.check(resource_id, low)
            if before and request.get("Tags"):
                # terraform-aws-modules/terraform-aws-rds-aurora#420
                raise AwsError(
                    "ValidationException",
                    "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, use "
                    "the TagResource API.",
                )
            target = before or self._new_target(resource_id, name)
            target.minimum, target.maximum = low, high
            target.suspended |= request.get("SuspendedState") or {}
            target.role_arn = request.get("RoleARN", target.role_arn)
            self.tags.add(target.arn, request.get("Tags") or {})
            self._targets[key] = target
        # "If the specified resource is not active in the target service, this operation does not change the resource's
        # current capacity. Otherwise, it changes the resource's current capacity to a value that is inside of this range."
        self._scaler.pull(target, again=False)
        return {"ScalableTargetARN": target.arn}

    def _new_target(self, resource_id: str, dimension: str) -> Target:
        service = f"AWSServiceRoleForApplicationAutoScaling_SageMaker{_ROLES[dimension]}"
        return Target(
            resource_id=resource_id,
            dimension=dimension,
            minimum=0,
            maximum=0,
            arn=regional_arn("application-autoscaling", self._region, f"scalable-target/{uuid4().hex}"),
            created=self._clock.now(),
            # "If the service supports service-linked roles, Application Auto Scaling uses [one], which it creates"
            role_arn=global_arn(
                "iam",
                self._region,
                f"role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/{service}",
            ),
            suspended={
                "DynamicScalingInSuspended": False,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": False,
            },
        )

    def _deregister(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._target(request, absent="found")
            self._remove(_key(request))
        return {}

    def _remove(self, key: _Key) -> None:
        # "Deregistering a scalable target deletes the scaling policies and scheduled actions that are associated with it."
        self.tags.forget(self._targets.pop(key).arn)
        for policy in self._policies.pop(key, {}).values():
            self._delete_alarms(policy)
        for action in self._scheduled.pop(key, {}).values():
            if action.timer:
                action.timer.cancel()

    def _describe_targets(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            rows = [
                target.description()
                for target in self._targets.values()
                if request.get("ScalableDimension") in (None, target.dimension)
                and (not request.get("ResourceIds") or target.resource_id in request["ResourceIds"])
            ]
        return _page("ScalableTargets", rows, request)

    def _is_target(self, target: Target) -> bool:
        return self._targets.get((target.resource_id, target.dimension)) is target

    def _target(self, request: Mapping[str, Any], *, absent: str = "registered") -> Target:
        target = self._targets.get(_key(request))
        if target is None:
            # ansible/ansible#40237 has the word for PutScalingPolicy.
            raise _absent("scalable target", request, absent)
        return target

    # Policies

    def _put_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            target = self._target(request)
            policies = self._policies.setdefault(_key(request), {})
            name = request["PolicyName"]
            before = policies.get(name)
            kind = request.get("PolicyType") or (before.kind if before else "StepScaling")
            configuration = request.get(f"{kind}PolicyConfiguration")
            if configuration is None and before and before.kind == kind:
                configuration = before.configuration
            check_policy(kind, configuration, target.dimension)
            if before is None and len(policies) >= _MAX_POLICIES:
                raise AwsError(
                    "LimitExceededException", f"A scalable target can have at most {_MAX_POLICIES} policies."
                )
            if before and before.kind != kind:
                raise AwsError(
                    "ValidationException", f"The type of the scaling policy {name} cannot be changed."
                )
            arn = before.arn if before else self._policy_arn(target, name)
            created = before.created if before else self._clock.now()
            policy = Policy(name, arn, kind, dict(configuration or {}), created)
            policies[name] = policy
            if before:
                self._delete_alarms(before)
            if policy.tracks:
                policy.alarms = [
                    {"AlarmName": alarm.name, "AlarmARN": alarm.arn}
                    for alarm in (
                        self._alarms.put_metric_alarm(alarm)
                        for alarm in tracking_alarms(policy, target.resource_id)
                    )
                ]
            return {"PolicyARN": policy.arn, "Alarms": list(policy.alarms)}

    def _policy_arn(self, target: Target, name: str) -> str:
        resource = f"resource/sagemaker/{target.resource_id}:policyName/{name}"
        return regional_arn("autoscaling", self._region, f"scalingPolicy:{uuid4()}:{resource}")

    def _delete_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            policy = self._policies.get(_key(request), {}).pop(request["PolicyName"], None)
            if policy is None:
                raise _absent("scaling policy", request)
            self._delete_alarms(policy)
        return {}

    def _delete_alarms(self, policy: Policy) -> None:
        # "Deleting a target tracking scaling policy also deletes the CloudWatch alarms that were created for it."
        self._alarms.delete([alarm["AlarmName"] for alarm in policy.alarms])

    def _describe_policies(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_filter(request)
        with self._lock:
            rows = [
                {
                    "PolicyARN": policy.arn,
                    "PolicyName": policy.name,
                    "ServiceNamespace": "sagemaker",
                    "ResourceId": resource_id,
                    "ScalableDimension": dimension,
                    "PolicyType": policy.kind,
                    f"{policy.kind}PolicyConfiguration": policy.configuration,
                    "Alarms": list(policy.alarms),
                    "CreationTime": policy.created,
                }
                for (resource_id, dimension), policies in self._policies.items()
                for policy in policies.values()
                if request.get("ResourceId") in (None, resource_id)
                and request.get("ScalableDimension") in (None, dimension)
                and (not request.get("PolicyNames") or policy.name in request["PolicyNames"])
            ]
        return _page("ScalingPolicies", rows, request)

    # Scheduled actions

    def _put_scheduled_action(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self._target(request)
            actions = self._scheduled.setdefault(_key(request), {})
            name = request["ScheduledActionName"]
            before = actions.get(name)
            # "Any parameters that you don't specify are not changed by this update request", but for the two times.
            kept = {
                member: value
                for member, value in (before.request if before else {}).items()
                if member not in ("StartTime", "EndTime")
            }
            merged = {**kept, **{member: value for member, value in request.items() if value is not None}}
            self._check_scheduled_action(merged)
            if before is None and len(actions) >= _MAX_SCHEDULED:
                raise AwsError(
                    "LimitExceededException",
                    f"A scalable target can have at most {_MAX_SCHEDULED} scheduled actions.",
                )
            if before and before.timer:
                before.timer.cancel()
            now = self._clock.now()
            resource = f"resource/sagemaker/{request['ResourceId']}:scheduledActionName/{name}"
            own = (
                before.arn
                if before
                else regional_arn("autoscaling", self._region, f"scheduledAction:{uuid4()}:{resource}")
            )
            action = actions[name] = ScheduledAction(merged, own, before.created if before else now)
            self._schedule(_key(request), action, now)
        return {}

    def _check_scheduled_action(self, request: Mapping[str, Any]) -> None:
        if "Schedule" not in request:
            raise AwsError("ValidationException", "Schedule is required for a new scheduled action.")
        change = request.get("ScalableTargetAction") or {}
        low, high = change.get("MinCapacity"), change.get("MaxCapacity")
        if low is None and high is None:
            # The sentence: aws-cloudformation/community-registry-extensions#255
            raise AwsError(
                "ValidationException",
                "At least one of minimum capacity and maximum capacity should be provided",
            )
        if low is not None and high is not None and low > high:
            raise AwsError("ValidationException", "Maximum capacity cannot be less than minimum capacity")
        try:
            _schedule_of(request)
        except ScheduleError as error:
            raise AwsError("ValidationException", str(error)) from error

    def _schedule(self, key: _Key, action: ScheduledAction, after: datetime) -> None:
        schedule = _schedule_of(action.request)
        due = schedule.next(after)
        if due is None:
            action.timer = None
            return
        action.timer = self._clock.call_later(
            (due - self._clock.now()).total_seconds(), lambda: self._on_time(key, action, due)
        )

    def _on_time(self, key: _Key, action: ScheduledAction, due: datetime) -> None:
        with self._lock:
            target = self._targets.get(key)
            if (
                target is None
                or self._scheduled.get(key, {}).get(action.request["ScheduledActionName"]) is not action
            ):
                return
            self._schedule(key, action, due)
            if target.suspended["ScheduledScalingSuspended"]:
                return
            change = action.request["ScalableTargetAction"]
            low, high = change.get("MinCapacity"), change.get("MaxCapacity")
            # Where the one that is given lies beyond the one that is not, that one moves along (assumed).
            target.minimum = min(target.minimum, high) if low is None else low
            target.maximum = max(target.maximum, low) if high is None else high
        self._scaler.pull(target, again=True)

    def _delete_scheduled_action(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            action = self._scheduled.get(_key(request), {}).pop(request["ScheduledActionName"], None)
            if action is None:
                raise _absent("scheduled action", request)
            if action.timer:
                action.timer.cancel()
        return {}

    def _describe_scheduled_actions(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_filter(request)
        names = request.get("ScheduledActionNames")
        with self._lock:
            rows = [
                {
                    **action.request,
                    "ScheduledActionARN": action.arn,
                    "CreationTime": action.created,
                }
                for (resource_id, dimension), actions in self._scheduled.items()
                for action in actions.values()
                if request.get("ResourceId") in (None, resource_id)
                and request.get("ScalableDimension") in (None, dimension)
                and (not names or action.request["ScheduledActionName"] in names)
            ]
        return _page("ScheduledActions", rows, request)

    # Tags

    def _tag(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.tags.add(self._tagged(request), request["Tags"])
        return {}

    def _untag(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            self.tags.remove(self._tagged(request), request["TagKeys"])
        return {}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return {"Tags": self.tags.of(self._tagged(request))}

    def _tagged(self, request: Mapping[str, Any]) -> str:
        arn = str(request["ResourceARN"])
        if arn not in self.tags:
            raise AwsError("ResourceNotFoundException", f"The resource {arn} does not exist.")
        return arn

    # Scaling

    def _on_alarm(self, policy_arn: str, breach: Breach) -> None:
        """Scale as an alarm triggers it; called on every change of its state, and every minute that the state lasts."""
        with self._lock:
            for key, policies in self._policies.items():
                for policy in policies.values():
                    if policy_arn.partition(":createdBy/")[0] == policy.arn:
                        self._scaler.scale_on_alarm(self._targets[key], policy, policies, breach)
                        return
            raise AwsError("ObjectNotFoundException", f"There is no scaling policy {policy_arn}.")

    def _describe_activities(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_filter(request)
        with self._lock:
            rows = [
                dict(activity.members)
                for activity in reversed(self._scaler.activities)
                if request.get("ResourceId") in (None, activity.members["ResourceId"])
                and request.get("ScalableDimension") in (None, activity.members["ScalableDimension"])
                and (request.get("IncludeNotScaledActivities") or not activity.not_scaled)
            ]
        return _page("ScalingActivities", rows, request)


def _without(members: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}


def _schedule_of(request: Mapping[str, Any]) -> Schedule:
    return Schedule(
        request["Schedule"],
        request.get("Timezone") or "UTC",
        _time(request.get("StartTime")),
        _time(request.get("EndTime")),
    )


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _key(request: Mapping[str, Any]) -> _Key:
    return request["ResourceId"], request["ScalableDimension"]


def _check_filter(request: Mapping[str, Any]) -> None:
    if request.get("ScalableDimension") and not request.get("ResourceId"):
        # "If you specify a scalable dimension, you must also specify a resource ID."
        raise AwsError("ValidationException", "ResourceId must be specified with ScalableDimension.")


def _absent(what: str, request: Mapping[str, Any], word: str = "found") -> AwsError:
    policy = f", policy name: {request['PolicyName']}" if what == "scaling policy" else ""
    action = (
        f", scheduled action name: {request['ScheduledActionName']}" if what == "scheduled action" else ""
    )
    return AwsError(
        "ObjectNotFoundException",
        f"No {what} {word} for service namespace: sagemaker, resource ID: {request.get('ResourceId')}, scalable dimension: "
        f"{request.get('ScalableDimension')}{policy}{action}",
    )


def _page(member: str, rows: Sequence[dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    size = min(int(request.get("MaxResults") or _PAGE), _PAGE)
    shown, token = page(rows, request.get("NextToken"), size, invalid=_INVALID_TOKEN)
    return {member: shown, **token}
