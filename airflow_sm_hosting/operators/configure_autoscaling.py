"""Configure autoscaling of a production variant, or of the copies of an inference component."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.fields import Boolean, Choice, Field, Integer, ListOf, Resource, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.known_kind import kind_of_variant
from airflow_sm_hosting.spec.arn import ENDPOINT, INFERENCE_COMPONENT
from airflow_sm_hosting.spec.checks import check_name, invalid, is_rendered_later
from airflow_sm_hosting.spec.from_zero import (
    check_can_be_zero,
    check_from_zero,
    check_from_zero_with,
    from_zero_alarm,
    from_zero_policies,
    instances_that_stay,
    wake_policy_name,
)
from airflow_sm_hosting.spec.hosting_target import check_target
from airflow_sm_hosting.spec.published import COMPONENT, not_published_by_policies
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rendered import as_boolean
from airflow_sm_hosting.spec.scaling import action_request, policy_request
from airflow_sm_hosting.spec.scaling_rules import (
    COPY_COUNT,
    INSTANCE_COUNT,
    PROVISIONED_CONCURRENCY,
    SCALABLE_DIMENSIONS,
    SUSPENDED_STATE,
    WORKING_HOURS,
    check_actions,
    check_capacities,
    check_metric_dimension,
    check_policies,
    check_scaled_variant,
    check_suspended_state,
    initial_capacity,
)
from airflow_sm_hosting.spec.working_hours import actions_of, check_working_hours

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.scaling import ObservedScaling, ScalingPlan, WantedScaling
    from airflow_sm_hosting.deployment.steps import AlarmCall, Call
    from airflow_sm_hosting.deployment.waking_alarm import TaggedAlarm
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook
    from airflow_sm_hosting.spec.from_zero import ScaleFromZero
    from airflow_sm_hosting.spec.scaling import (
        InvocationsScaling,
        ScheduledScaling,
        StepScaling,
        TargetTrackingScaling,
    )
    from airflow_sm_hosting.spec.working_hours import WorkingHours

    _Alarm = Callable[[Mapping[str, str]], dict[str, Any]]

    ScalableDimension = Literal[
        "sagemaker:variant:DesiredInstanceCount",
        "sagemaker:variant:DesiredProvisionedConcurrency",
        "sagemaker:inference-component:DesiredCopyCount",
    ]
    Policy = InvocationsScaling | TargetTrackingScaling | StepScaling | Mapping[str, Any]


def check_scaled(
    where: str,
    *,
    endpoint_name: Any,
    variant_name: Any,
    inference_component_name: Any,
    scalable_dimension: Any,
) -> None:
    """Check that either a variant or an inference component is named.

    :raises InvalidSpecError: When both are, or none.
    """
    check_target(
        where,
        endpoint_name=endpoint_name,
        variant_name=variant_name,
        inference_component_name=inference_component_name,
    )
    if inference_component_name is None:
        if scalable_dimension == COPY_COUNT:
            raise invalid(f"{where}scalable_dimension", scalable_dimension, "a dimension of a variant")
        return
    if not is_rendered_later(scalable_dimension) and scalable_dimension not in (None, COPY_COUNT):
        raise invalid(f"{where}scalable_dimension", scalable_dimension, COPY_COUNT)


class SuspendedState(Field[dict[str, bool]]):
    """The suspended scaling activities; an activity that is not named is not suspended."""

    def check(self, where: str, value: Any) -> None:
        """Check a literal state."""
        check_suspended_state(where, value)

    def value(self, where: str, given: Any) -> dict[str, bool]:
        """Return the state of every activity."""
        if isinstance(given, Mapping):
            given = {name: as_boolean(f"{where}[{name!r}]", value) for name, value in given.items()}
        check_suspended_state(where, given)
        return {name: given.get(name, False) for name in SUSPENDED_STATE}


class FromZero(Field[dict[str, Any]]):
    """Scaling from zero."""

    def check(self, where: str, value: Any) -> None:
        """Check that a literal value is a ScaleFromZero."""
        check_from_zero(where, value)

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the rendered ScaleFromZero."""
        check_from_zero(where, given)
        if not isinstance(given, dict):
            raise InvalidSpecError(f"{where} is a {type(given).__name__}; allowed: ScaleFromZero(…).")
        return given


class ConfigureAutoscalingFields(AwsFields):
    """The parameters of :class:`ConfigureAutoscalingOperator`."""

    endpoint_name = optional(Resource(ENDPOINT))
    variant_name: Field[str | None] = optional(Text(check_name))
    inference_component_name = optional(Resource(INFERENCE_COMPONENT))
    max_capacity = Integer(low=1)
    min_capacity = optional(Integer(low=0))
    policies = ListOf(literal_check=check_policies, of="PutScalingPolicyRequest", json=True)
    from_zero = optional(FromZero(json=True))
    scheduled_actions = ListOf(literal_check=check_actions, of="PutScheduledActionRequest", json=True)
    scalable_dimension = optional(Choice(SCALABLE_DIMENSIONS))
    suspended_state = optional(SuspendedState(json=True))
    tags = Tags(most=MOST_TAGS)
    adopt = Boolean(default=False)

    @property
    def least(self) -> int | None:
        """The minimum capacity, if it is known without asking AWS."""
        return self.min_capacity if self.from_zero is None else 0

    def check_together(self, where: str) -> None:
        """Check what is scaled, and the capacities."""
        check_scaled(
            where,
            endpoint_name=self.endpoint_name,
            variant_name=self.variant_name,
            inference_component_name=self.inference_component_name,
            scalable_dimension=self.scalable_dimension,
        )
        check_capacities(f"{where}min_capacity", self.min_capacity, f"{where}max_capacity", self.max_capacity)
        check_working_hours(
            f"{where}scheduled_actions",
            self.scheduled_actions,
            min_capacity=self.least,
            max_capacity=self.max_capacity,
        )
        check_from_zero_with(
            where,
            self.from_zero,
            min_capacity=self.min_capacity,
            scalable_dimension=self.scalable_dimension,
            inference_component_name=self.inference_component_name,
        )


class ConfigureAutoscalingOperator(SageMakerHostingBaseOperator):
    """Register a production variant, or the copies of an inference component, as a scalable target, with policies and scheduled actions.

    Only differences are written. One task defines all the scaling of its variant or component: policies and scheduled actions of this package that are no longer given are
    deleted, others stay unchanged. The tags of the scalable target list those of this package. A capacity set by a scheduled action
    stays until the next scheduled action.

    With ``from_zero`` it also defines the alarm that wakes what is at zero: it is put after its step policy, and deleted before it.

    Uses ``application-autoscaling:RegisterScalableTarget``, ``PutScalingPolicy``, ``PutScheduledAction``, ``DeleteScalingPolicy``,
    ``DeleteScheduledAction``, ``TagResource`` and ``UntagResource``; with ``from_zero``, ``cloudwatch:PutMetricAlarm``, ``DeleteAlarms``
    and ``TagResource``.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#configureautoscalingoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html

    :param endpoint_name: Name of the endpoint, or its ARN; with ``variant_name``. (templated)
    :param variant_name: Name of the production variant; burstable instance types (``ml.t2.…``) cannot be scaled. (templated)
    :param inference_component_name: In place of both, the inference component whose copies are scaled, by name or ARN. (templated)
    :param max_capacity: Maximum number of instances or copies, 1 or more, at least the initial one; for a serverless variant the maximum
        provisioned concurrency, at most its maximum concurrency. (templated)
    :param min_capacity: Minimum number of instances or provisioned concurrency, at most the initial one and ``max_capacity`` (default: the
        initial one; 1 copy of an inference component). 0 means no instance or copy; it is refused for real-time endpoints with a model,
        which need one instance. (templated)
    :param policies: :class:`~airflow_sm_hosting.InvocationsScaling`, :class:`~airflow_sm_hosting.TargetTrackingScaling`,
        :class:`~airflow_sm_hosting.StepScaling`, or dicts in the shape of PutScalingPolicy; 50 at most, each metric once. (templated)
    :param from_zero: A :class:`~airflow_sm_hosting.ScaleFromZero`, beside ``policies``: scaling to zero and back, for a variant of an
        asynchronous endpoint or an inference component; the minimum capacity is 0. (templated)
    :param scheduled_actions: :class:`~airflow_sm_hosting.ScheduledScaling`, :class:`~airflow_sm_hosting.WorkingHours`, or dicts in the shape of PutScheduledAction; 200 at most. (templated)
    :param scalable_dimension: ``sagemaker:variant:DesiredInstanceCount``, ``sagemaker:variant:DesiredProvisionedConcurrency`` or
        ``sagemaker:inference-component:DesiredCopyCount`` (default: that of what is scaled, which is looked up). (templated)
    :param suspended_state: The suspended activities, as a dict of ``DynamicScalingInSuspended``, ``DynamicScalingOutSuspended`` and
        ``ScheduledScalingSuspended`` to True or False; an activity that is not named is False (default: unchanged). (templated)
    :param tags: Tags of the scalable target, as a dict, 48 at most, fewer with many policies and scheduled actions, which are listed in tags
        (Application Auto Scaling cannot tag them); on a target that exists they are reconciled, other people's tags stay unchanged. (templated)
    :param adopt: Whether the task may take over a scalable target, and policies and actions of the same names, that this package did
        not create (default: False). (templated)
    :raises InvalidSpecError: Before the first changing call, when the service would refuse the request.
    :raises NotFoundError: When the endpoint, its variant or the inference component does not exist.
    :raises ConflictError: When the task would have to change something that this package did not create.
    :return: The scalable target's resource id, ``endpoint/<endpoint>/variant/<variant>`` or ``inference-component/<name>``.
    """

    fields = ConfigureAutoscalingFields
    template_fields: Sequence[str] = ConfigureAutoscalingFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        ConfigureAutoscalingFields.template_fields_renderers()
    )

    def __init__(
        self,
        *,
        endpoint_name: Late | None = None,
        variant_name: Late | None = None,
        inference_component_name: Late | None = None,
        max_capacity: int | Late,
        min_capacity: int | Late | None = None,
        policies: Sequence[Policy | Late] | Late = (),
        from_zero: ScaleFromZero | Late | None = None,
        scheduled_actions: Sequence[ScheduledScaling | WorkingHours | Mapping[str, Any] | Late] | Late = (),
        scalable_dimension: ScalableDimension | Late | None = None,
        suspended_state: Mapping[str, Any] | Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        adopt: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.inference_component_name = inference_component_name
        self.max_capacity = max_capacity
        self.min_capacity = min_capacity
        self.policies = policies
        self.from_zero = from_zero
        self.scheduled_actions = scheduled_actions
        self.scalable_dimension = scalable_dimension
        self.suspended_state = suspended_state
        self.tags = tags
        self.adopt = adopt
        kind = (
            COMPONENT
            if inference_component_name is not None
            else kind_of_variant(endpoint_name, variant_name)
        )
        for wrong in not_published_by_policies(policies, kind):
            warnings.warn(f"{type(self).__name__}: policies: {wrong}. The policy never scales.", stacklevel=2)

    def execute(self, context: Context) -> str:
        """Read the existing scaling, plan, and write the differences."""
        from airflow_sm_hosting.deployment.scaling import plan_scaling, tags_matter
        from airflow_sm_hosting.deployment.waking_alarm import delete_steps

        given = ConfigureAutoscalingFields.of(self)
        scaled = self._component(given) if given.inference_component_name else self._variant(given)
        wanted = scaled.wanted
        place = wanted.place
        hook = self.auto_scaling_hook
        found = self._found(hook, place)
        tags = hook.target_tags(found.target) if found.target and tags_matter(wanted, found) else {}
        planned = plan_scaling(wanted, found, tags, adopt=given.adopt)
        alarms = self._alarms(scaled, found, planned, context)
        arns = {policy["PolicyName"]: policy["PolicyARN"] for policy in found.policies}
        # All refusals come before the first change, so the alarm is planned before its policy has an ARN.
        if [*alarms.steps(arns), *alarms.obsolete, *planned.steps]:
            scaled.check()
        self._run(delete_steps(alarms.obsolete))
        arns |= self._apply(planned, place["ResourceId"])
        alarm_steps = alarms.steps(arns)
        self._run(alarm_steps)
        names = [policy["PolicyName"] for policy in wanted.policies]
        self.push_details(
            context,
            {
                "scalable_dimension": place["ScalableDimension"],
                "min_capacity": wanted.minimum,
                "max_capacity": wanted.maximum,
                "policies": names,
                "policy_arns": {name: arns[name] for name in names},
                "scheduled_actions": [action["ScheduledActionName"] for action in wanted.actions],
                "written": _performed(planned.steps, ("Register", "Put")) + _performed(alarm_steps, ("Put",)),
                "removed": [f"alarm {name}" for name in alarms.obsolete]
                + _performed(planned.steps, ("Delete",)),
                "not_ours": planned.foreign,
                **({"alarm": alarms.name} if alarms.name else {}),
            },
        )
        return place["ResourceId"]

    def _component(self, given: ConfigureAutoscalingFields) -> _Scaled:
        """Return the wanted scaling of an inference component's copies.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html: the minimum may be 0.
        """
        from airflow_sm_hosting.deployment.scaling import WantedScaling

        name = given.inference_component_name or ""
        policies, actions = self._requests(given, component=name)
        check_metric_dimension("policies", policies, COPY_COUNT)
        self.check_arns("inference_component_name")
        described = self.sagemaker_hook.describe_inference_component(name)
        if described is None:
            raise NotFoundError(f"There is no inference component {name!r}.")
        if described["InferenceComponentName"] != name:
            # Resource IDs and dimensions are compared exactly.
            name = described["InferenceComponentName"]
            policies, actions = self._requests(given, component=name)
        if "RuntimeConfig" not in described:
            # Developer guide, "realtime-endpoints-adapt": an adapter is in the copies of its base.
            raise InvalidSpecError(
                f"inference_component_name is {name!r}, an adapter; allowed: its base, whose copies load it."
            )
        wanted = WantedScaling(
            place=_place(component_resource_id(name), COPY_COUNT),
            minimum=given.least if given.least is not None else 1,
            maximum=given.max_capacity,
            suspended_state=given.suspended_state,
            policies=policies,
            actions=actions,
            tags=given.tags,
        )

        def check() -> None:
            if given.from_zero is not None:
                self._warn_of_instances_that_stay(described)

        return _Scaled(wanted, check, _alarm_of(given, component=name))

    def _warn_of_instances_that_stay(self, component: Mapping[str, Any]) -> None:
        """Warn when the instances stay although all copies are at zero."""
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import is_denied

        variant: Mapping[str, Any] | None = None
        try:
            described = self.sagemaker_hook.describe_endpoint(component["EndpointName"])
            if described is not None and described.get("EndpointConfigName"):
                variant = self._production_variant(described, component["VariantName"])
        except ClientError as error:
            if not is_denied(error):
                raise
        except NotFoundError:
            pass  # the config is deleted
        if why := instances_that_stay(variant):
            self.log.warning(
                "The copies of %s scale to zero, but its instances stay: variant %s of endpoint %s %s; with MinInstanceCount 0 they follow",
                component["InferenceComponentName"],
                component["VariantName"],
                component["EndpointName"],
                why,
            )

    def _variant(self, given: ConfigureAutoscalingFields) -> _Scaled:
        """Return the wanted scaling of a production variant."""
        from airflow_sm_hosting.deployment.scaling import WantedScaling
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_resource_id

        endpoint, variant = given.endpoint_name or "", given.variant_name or ""
        minimum, maximum = given.least, given.max_capacity
        policies, actions = self._requests(given, endpoint)
        self.check_arns("endpoint_name")

        described = self._endpoint(endpoint)
        if described["EndpointName"] != endpoint:
            # Resource IDs and dimensions are compared exactly, endpoint names are not.
            self.log.info("Endpoint %s is %s", endpoint, described["EndpointName"])
            endpoint = described["EndpointName"]
            policies, actions = self._requests(given, endpoint)
        production_variant = cache(partial(self._production_variant, described, variant))
        dimension = self._dimension(described, variant, production_variant)
        if given.scalable_dimension not in (None, dimension):
            raise invalid(
                "scalable_dimension", given.scalable_dimension, f"{dimension} for variant {variant}"
            )
        check_metric_dimension("policies", policies, dimension)
        wanted = WantedScaling(
            place=_place(variant_resource_id(endpoint, variant), dimension),
            minimum=initial_capacity(production_variant()) if minimum is None else minimum,
            maximum=maximum,
            suspended_state=given.suspended_state,
            policies=policies,
            actions=actions,
            tags=given.tags,
        )
        scheduled = [action.get("ScalableTargetAction") or {} for action in actions]

        asynchronous = bool(described.get("AsyncInferenceConfig"))

        def check() -> None:
            if given.from_zero is not None:
                check_can_be_zero(production_variant(), asynchronous=asynchronous)
            check_scaled_variant(
                production_variant(),
                minimum=wanted.minimum,
                maximum=maximum,
                scheduled_minimums=[item["MinCapacity"] for item in scheduled if "MinCapacity" in item],
                scheduled_maximums=[item["MaxCapacity"] for item in scheduled if "MaxCapacity" in item],
                asynchronous=asynchronous,
            )

        return _Scaled(wanted, check, _alarm_of(given, endpoint=endpoint))

    @staticmethod
    def _requests(
        given: ConfigureAutoscalingFields, endpoint: str = "", component: str | None = None
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the requests of policies and scheduled actions, checked, without the place that they are for."""
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_resource_id
        from airflow_sm_hosting.service_model.request import validated_request

        variant = given.variant_name or ""
        # The dimension is not known yet, and is not checked here.
        resource = component_resource_id(component) if component else variant_resource_id(endpoint, variant)
        place = _place(resource, COPY_COUNT if component else INSTANCE_COUNT)

        def typed(operation: str, members: Mapping[str, Any]) -> dict[str, Any]:
            request = validated_request("application-autoscaling", operation, {**members, **place})
            return {name: value for name, value in request.items() if name not in place}

        _check_dicts("policies", given.policies)
        policies = [
            typed(
                "PutScalingPolicy",
                policy_request(
                    policy, endpoint_name=endpoint, variant_name=variant, inference_component_name=component
                ),
            )
            for policy in given.policies
        ]
        if given.from_zero is not None:
            policies += [
                typed("PutScalingPolicy", policy)
                for policy in from_zero_policies(
                    given.from_zero,
                    endpoint_name=endpoint,
                    variant_name=variant,
                    inference_component_name=component,
                )
            ]
        check_policies("policies", policies)
        _check_dicts("scheduled_actions", given.scheduled_actions)
        actions = [
            typed("PutScheduledAction", request)
            for index, action in enumerate(given.scheduled_actions)
            for request in (
                actions_of(
                    action,
                    minimum=given.least,
                    maximum=given.max_capacity,
                    where=f"scheduled_actions[{index}]",
                )
                if kind_of(action) == WORKING_HOURS
                else [action_request(action)]
            )
        ]
        check_actions("scheduled_actions", actions)
        return policies, actions

    def _endpoint(self, endpoint: str) -> Mapping[str, Any]:
        described = self.sagemaker_hook.describe_endpoint(endpoint)
        if described is None:
            raise NotFoundError(f"There is no endpoint {endpoint!r}.")
        return described

    def _production_variant(self, described: Mapping[str, Any], variant: str) -> dict[str, Any]:
        """Return the variant in the endpoint's config."""
        name = described["EndpointConfigName"]
        config: Mapping[str, Any] = self.sagemaker_hook.describe_endpoint_config(name) or {}
        return _named(variant, config.get("ProductionVariants") or [], described["EndpointName"])

    def _dimension(
        self,
        described: Mapping[str, Any],
        variant: str,
        production_variant: Callable[[], dict[str, Any]],
    ) -> str:
        """Return the scalable dimension of the variant: its instances, or the provisioned concurrency of a serverless variant."""
        from airflow_sm_hosting.deployment.status import is_serverless

        summaries = described.get("ProductionVariants")
        # DescribeEndpoint may return no variants while the endpoint is created.
        summary = _named(variant, summaries, described["EndpointName"]) if summaries else production_variant()
        return PROVISIONED_CONCURRENCY if is_serverless([summary]) else INSTANCE_COUNT

    def _found(self, hook: ApplicationAutoScalingHook, place: Mapping[str, str]) -> ObservedScaling:
        from airflow_sm_hosting.deployment.scaling import ObservedScaling

        resource_id, dimension = place["ResourceId"], place["ScalableDimension"]
        targets = hook.scalable_targets([resource_id], dimension)
        if not targets:
            return ObservedScaling()  # policies and actions are deleted with their target
        return ObservedScaling(
            targets[0],
            hook.scaling_policies(resource_id, dimension),
            hook.scheduled_actions(resource_id, dimension),
        )

    def _alarms(
        self, scaled: _Scaled, found: ObservedScaling, planned: ScalingPlan, context: Context
    ) -> _WakingAlarms:
        """Return what to do with the alarms that wake what is scaled; they are looked for if there may be any.

        :raises ConflictError: When there is such an alarm of others.
        """
        from airflow_sm_hosting.deployer.waking_alarms import alarm_named, alarms_that_wake
        from airflow_sm_hosting.deployment.alarm import task_tag
        from airflow_sm_hosting.deployment.steps import DeleteScalingPolicy

        resource_id = scaled.wanted.place["ResourceId"]
        deletes = any(isinstance(step, DeleteScalingPolicy) for step in planned.steps)
        known = (
            alarms_that_wake(self, resource_id, found.policies) if scaled.alarm is not None or deletes else []
        )
        task = task_tag(self.dag_id, self.task_id, getattr(context["ti"], "map_index", -1))
        adopt = ConfigureAutoscalingFields.of(self).adopt
        if scaled.alarm is None:
            return _WakingAlarms(None, None, [alarm.name for alarm in known], resource_id, task, adopt)
        name = str(scaled.alarm({})["AlarmName"])
        obsolete = [alarm.name for alarm in known if alarm.name != name]
        existing = alarm_named(self, name, known)
        return _WakingAlarms(scaled.alarm, existing, obsolete, resource_id, task, adopt)

    def _run(self, steps: Sequence[Call]) -> None:
        """Apply steps on alarms."""
        from airflow_sm_hosting.deployer.adapters import StepRunner

        runner = StepRunner(self)
        for step in runner.validated(tuple(steps)):
            runner.apply(step)

    def _apply(self, planned: ScalingPlan, resource_id: str) -> dict[str, str]:
        """Apply the plan; return the ARNs of the policies that it puts, by name."""
        from airflow_sm_hosting.deployer.adapters import StepRunner
        from airflow_sm_hosting.deployment.steps import PutScalingPolicy

        runner, arns = StepRunner(self), {}
        for name in planned.foreign:
            self.log.info(
                "%s has the %s, which this package did not create; it is left alone", resource_id, name
            )
        for step in runner.validated(tuple(planned.steps)):
            answer = runner.apply(step)
            if isinstance(step, PutScalingPolicy):
                arns[str(step.request["PolicyName"])] = str(answer["PolicyARN"])
        if not planned.steps:
            self.log.info("Autoscaling of %s is up to date; nothing to do", resource_id)
        return arns


class _Scaled(NamedTuple):
    """The wanted scaling, the check of what is scaled, made only when something changes, and the alarm that wakes it.

    The alarm is a function of the ARNs of the policies, by name; None without ``from_zero``.
    """

    wanted: WantedScaling
    check: Callable[[], None]
    alarm: _Alarm | None


class _WakingAlarms(NamedTuple):
    """The alarm that wakes what is scaled, and those that no longer do."""

    alarm: _Alarm | None
    existing: TaggedAlarm | None
    obsolete: list[str]
    resource_id: str
    task: str
    adopt: bool

    @property
    def name(self) -> str | None:
        """The alarm's name."""
        return None if self.alarm is None else str(self.alarm({})["AlarmName"])

    def steps(self, arns: Mapping[str, str]) -> Sequence[AlarmCall]:
        """Return the calls that make the alarm as it should be.

        :param arns: The ARNs of the policies by name; without that of the alarm's policy, its action is left open.
        """
        from airflow_sm_hosting.deployment.waking_alarm import put_steps

        if self.alarm is None:
            return []
        return put_steps(
            self.alarm(arns),
            self.existing,
            resource_id=self.resource_id,
            task=self.task,
            adopt=self.adopt,
        )


def _alarm_of(
    given: ConfigureAutoscalingFields, *, endpoint: str = "", component: str | None = None
) -> _Alarm | None:
    """Return the request of the alarm that wakes what is scaled, by the ARNs of the policies; without an ARN, its action is ``""``."""
    from_zero, variant = given.from_zero, given.variant_name or ""
    if from_zero is None:
        return None
    policy = wake_policy_name(component or f"{endpoint}-{variant}")

    def alarm(arns: Mapping[str, str]) -> dict[str, Any]:
        return from_zero_alarm(
            from_zero,
            endpoint_name=endpoint,
            variant_name=variant,
            inference_component_name=component,
            policy_arn=arns.get(policy, ""),
        )

    return alarm


def component_resource_id(name: str) -> str:
    """Return the resource id of an inference component (RegisterScalableTarget, ResourceId)."""
    return f"inference-component/{name}"


def _place(resource_id: str, dimension: str) -> dict[str, str]:
    from airflow_sm_hosting.hooks.application_auto_scaling import NAMESPACE

    return {
        "ServiceNamespace": NAMESPACE,
        "ResourceId": resource_id,
        "ScalableDimension": dimension,
    }


def _check_dicts(where: str, items: list[Any]) -> None:
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise InvalidSpecError(f"{where}[{index}] is a {type(item).__name__}; allowed: a dict.")


def _named(variant: str, variants: Sequence[Mapping[str, Any]], endpoint: str) -> dict[str, Any]:
    """Return the variant with this name.

    :raises NotFoundError: When it does not exist; the message names the existing variants.
    """
    by_name = {item["VariantName"]: item for item in variants}
    if variant not in by_name:
        raise NotFoundError(
            f"Endpoint {endpoint} has no variant {variant!r}; it has: {', '.join(by_name) or 'none'}."
        )
    return dict(by_name[variant])


def _performed(steps: Sequence[Call], operations: tuple[str, ...]) -> list[str]:
    return [step.what for step in steps if step.operation.startswith(operations)]
