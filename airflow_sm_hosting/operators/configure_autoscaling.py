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
from airflow_sm_hosting.spec.published import COMPONENT, not_published_by_policies
from airflow_sm_hosting.spec.rendered import as_boolean
from airflow_sm_hosting.spec.scaling import action_request, policy_request
from airflow_sm_hosting.spec.scaling_rules import (
    COPY_COUNT,
    INSTANCE_COUNT,
    PROVISIONED_CONCURRENCY,
    SCALABLE_DIMENSIONS,
    SUSPENDED_STATE,
    check_actions,
    check_capacities,
    check_metric_dimension,
    check_policies,
    check_scaled_variant,
    check_suspended_state,
    initial_capacity,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.scaling import ObservedScaling, ScalingPlan, WantedScaling
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook
    from airflow_sm_hosting.spec.scaling import (
        InvocationsScaling,
        ScheduledScaling,
        StepScaling,
        TargetTrackingScaling,
    )

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
    of_variant = [endpoint_name, variant_name]
    if inference_component_name is None:
        missing = "endpoint_name" if endpoint_name is None else "variant_name" if variant_name is None else ""
        if missing:
            raise invalid(
                f"{where}{missing}",
                None,
                "endpoint_name with variant_name, or inference_component_name alone",
            )
        if scalable_dimension == COPY_COUNT:
            raise invalid(f"{where}scalable_dimension", scalable_dimension, "a dimension of a variant")
        return
    if of_variant != [None, None]:
        raise InvalidSpecError(
            f"{where}inference_component_name is given with endpoint_name or variant_name; allowed: it alone, as its name is unique."
        )
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


class ConfigureAutoscalingFields(AwsFields):
    """The parameters of :class:`ConfigureAutoscalingOperator`."""

    endpoint_name = optional(Resource(ENDPOINT))
    variant_name: Field[str | None] = optional(Text(check_name))
    inference_component_name = optional(Resource(INFERENCE_COMPONENT))
    max_capacity = Integer(low=1)
    min_capacity = optional(Integer(low=0))
    policies = ListOf(literal_check=check_policies, of="PutScalingPolicyRequest", json=True)
    scheduled_actions = ListOf(literal_check=check_actions, of="PutScheduledActionRequest", json=True)
    scalable_dimension = optional(Choice(SCALABLE_DIMENSIONS))
    suspended_state = optional(SuspendedState(json=True))
    tags = Tags(most=MOST_TAGS)
    adopt = Boolean(default=False)

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


class ConfigureAutoscalingOperator(SageMakerHostingBaseOperator):
    """Register a production variant, or the copies of an inference component, as a scalable target, with policies and scheduled actions.

    Only differences are written. One task defines all the scaling of its variant or component: policies and scheduled actions of this package that are no longer given are
    deleted, others stay unchanged. The tags of the scalable target list those of this package. A capacity set by a scheduled action
    stays until the next scheduled action.

    Uses ``application-autoscaling:RegisterScalableTarget``, ``PutScalingPolicy``, ``PutScheduledAction``, ``DeleteScalingPolicy``,
    ``DeleteScheduledAction``, ``TagResource`` and ``UntagResource``.

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
    :param scheduled_actions: :class:`~airflow_sm_hosting.ScheduledScaling`, or dicts in the shape of PutScheduledAction; 200 at most. (templated)
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
        scheduled_actions: Sequence[ScheduledScaling | Mapping[str, Any] | Late] | Late = (),
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

        given = ConfigureAutoscalingFields.of(self)
        scaled = self._component(given) if given.inference_component_name else self._variant(given)
        wanted = scaled.wanted
        place = wanted.place
        hook = self.auto_scaling_hook
        found = self._found(hook, place)
        tags = hook.target_tags(found.target) if found.target and tags_matter(wanted, found) else {}
        planned = plan_scaling(wanted, found, tags, adopt=given.adopt)
        if planned.steps:
            scaled.check()
        arns = {policy["PolicyName"]: policy["PolicyARN"] for policy in found.policies}
        arns |= self._apply(planned, place["ResourceId"])
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
                "written": _performed(planned, ("Register", "Put")),
                "removed": _performed(planned, ("Delete",)),
                "not_ours": planned.foreign,
            },
        )
        return place["ResourceId"]

    def _component(self, given: ConfigureAutoscalingFields) -> _Scaled:
        """Return the wanted scaling of an inference component's copies.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html: the minimum may be 0.
        """
        from airflow_sm_hosting.deployment.scaling import WantedScaling

        name = given.inference_component_name or ""
        policies, actions = self._requests(given, "")
        check_metric_dimension("policies", policies, COPY_COUNT)
        self.check_arns("inference_component_name")
        described = self.sagemaker_hook.describe_inference_component(name)
        if described is None:
            raise NotFoundError(f"There is no inference component {name!r}.")
        if "RuntimeConfig" not in described:
            # Developer guide, "realtime-endpoints-adapt": an adapter is in the copies of its base.
            raise InvalidSpecError(
                f"inference_component_name is {name!r}, an adapter; allowed: its base, whose copies load it."
            )
        wanted = WantedScaling(
            place=_place(component_resource_id(described["InferenceComponentName"]), COPY_COUNT),
            minimum=1 if given.min_capacity is None else given.min_capacity,
            maximum=given.max_capacity,
            suspended_state=given.suspended_state,
            policies=policies,
            actions=actions,
            tags=given.tags,
        )
        return _Scaled(wanted, lambda: None)

    def _variant(self, given: ConfigureAutoscalingFields) -> _Scaled:
        """Return the wanted scaling of a production variant."""
        from airflow_sm_hosting.deployment.scaling import WantedScaling
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_resource_id

        endpoint, variant = given.endpoint_name or "", given.variant_name or ""
        minimum, maximum = given.min_capacity, given.max_capacity
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

        def check() -> None:
            check_scaled_variant(
                production_variant(),
                minimum=wanted.minimum,
                maximum=maximum,
                scheduled_minimums=[item["MinCapacity"] for item in scheduled if "MinCapacity" in item],
                scheduled_maximums=[item["MaxCapacity"] for item in scheduled if "MaxCapacity" in item],
                asynchronous=bool(described.get("AsyncInferenceConfig")),
            )

        return _Scaled(wanted, check)

    @staticmethod
    def _requests(
        given: ConfigureAutoscalingFields, endpoint: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the requests of policies and scheduled actions, checked, without the place that they are for."""
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_resource_id
        from airflow_sm_hosting.service_model.request import validated_request

        variant, component = given.variant_name or "", given.inference_component_name
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
        check_policies("policies", policies)
        _check_dicts("scheduled_actions", given.scheduled_actions)
        actions = [typed("PutScheduledAction", action_request(action)) for action in given.scheduled_actions]
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
    """The wanted scaling, and the check of what is scaled, made only when something changes."""

    wanted: WantedScaling
    check: Callable[[], None]


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


def _performed(planned: ScalingPlan, operations: tuple[str, ...]) -> list[str]:
    return [step.what for step in planned.steps if step.operation.startswith(operations)]
