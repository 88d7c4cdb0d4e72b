"""Configure autoscaling of a production variant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.rules import (
    as_integer,
    as_list,
    as_string,
    check_integer,
    check_name,
    is_rendered_later,
)
from airflow_sm_hosting.spec.scaling import policy_request
from airflow_sm_hosting.spec.tags import OURS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook


class ConfigureAutoscalingOperator(SageMakerHostingBaseOperator):
    """Make a production variant a scalable target, with policies and scheduled actions; write only what differs.

    Uses ``application-autoscaling:RegisterScalableTarget``, ``PutScalingPolicy`` and ``PutScheduledAction``.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:ConfigureAutoscalingOperator`, and
        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param variant_name: Name of the production variant; burstable instance types (``ml.t2.…``) cannot be scaled. (templated)
    :param max_capacity: Greatest number of instances, 1 or more. (templated)
    :param min_capacity: Least number of instances, at most ``max_capacity`` (default: the variant's initial instance count; 0 is
        taken at its word). (templated)
    :param policies: :class:`~airflow_sm_hosting.InvocationsScaling`, :class:`~airflow_sm_hosting.TargetTrackingScaling`,
        :class:`~airflow_sm_hosting.StepScaling`, or dicts in the shape of PutScalingPolicy. (templated)
    :param scheduled_actions: :class:`~airflow_sm_hosting.ScheduledScaling`, or dicts in the shape of PutScheduledAction. (templated)
    :raises InvalidSpecError: For what the service would refuse, before the first call that changes anything.
    :raises NotFoundError: When the endpoint or its variant does not exist.
    :return: The scalable target's resource id, ``endpoint/<endpoint>/variant/<variant>``.
    """

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "endpoint_name",
        "variant_name",
        "max_capacity",
        "min_capacity",
        "policies",
        "scheduled_actions",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"policies": "json", "scheduled_actions": "json"}

    def __init__(
        self,
        *,
        endpoint_name: str,
        variant_name: str,
        max_capacity: int | str,
        min_capacity: int | str | None = None,
        policies: Any = (),
        scheduled_actions: Any = (),
        **kwargs: Any,
    ) -> None:
        where = "ConfigureAutoscalingOperator"
        check_name(f"{where}: endpoint_name", endpoint_name)
        check_name(f"{where}: variant_name", variant_name)
        check_integer(f"{where}: max_capacity", max_capacity, 1)
        if min_capacity is not None:
            literal = isinstance(max_capacity, int)
            check_integer(
                f"{where}: min_capacity (at most max_capacity)",
                min_capacity,
                0,
                max_capacity if literal else None,  # type: ignore[arg-type]
            )
        for name, value in (("policies", policies), ("scheduled_actions", scheduled_actions)):
            if not is_rendered_later(value) and not isinstance(value, list | tuple):
                raise InvalidSpecError(f"{where}: {name} is a {type(value).__name__}; allowed: a list.")
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.max_capacity = max_capacity
        self.min_capacity = min_capacity
        self.policies = policies
        self.scheduled_actions = scheduled_actions

    def execute(self, context: Context) -> str:
        """Read what is there, and write what differs."""
        from airflow_sm_hosting.hooks.application_auto_scaling import (
            INSTANCE_COUNT,
            NAMESPACE,
            variant_resource_id,
        )
        from airflow_sm_hosting.hooks.requests import prepared

        endpoint = as_string("endpoint_name", self.endpoint_name)
        variant = as_string("variant_name", self.variant_name)
        resource_id = variant_resource_id(endpoint, variant)
        place = {
            "ServiceNamespace": NAMESPACE,
            "ResourceId": resource_id,
            "ScalableDimension": INSTANCE_COUNT,
        }
        check_name("endpoint_name", endpoint)
        check_name("variant_name", variant)
        maximum = as_integer("max_capacity", self.max_capacity, 1)
        given = None if self.min_capacity in (None, "", "None") else self.min_capacity
        if given is not None:
            given = as_integer("min_capacity (at most max_capacity)", given, 0, maximum)

        def checked(operation: str, members: dict[str, Any]) -> dict[str, Any]:
            return prepared("application-autoscaling", operation, {**place, **members})

        policies = [
            checked("PutScalingPolicy", policy_request(policy, endpoint_name=endpoint, variant_name=variant))
            for policy in as_list("policies", self.policies)
        ]
        actions = [
            checked("PutScheduledAction", dict(action))
            for action in as_list("scheduled_actions", self.scheduled_actions)
        ]

        minimum = self._initial_count(endpoint, variant, maximum) if given is None else given
        target = checked("RegisterScalableTarget", {"MinCapacity": minimum, "MaxCapacity": maximum})

        hook = self.auto_scaling_hook
        written = [
            *self._register(hook, target),
            *self._put_policies(hook, policies),
            *self._put_actions(hook, actions),
        ]
        if not written:
            self.log.info("Autoscaling of %s is as asked; nothing to do", resource_id)
        self.tell_details(
            context,
            {
                "min_capacity": minimum,
                "max_capacity": maximum,
                "policies": [policy["PolicyName"] for policy in policies],
                "written": written,
            },
        )
        return resource_id

    def _initial_count(self, endpoint: str, variant: str, maximum: int) -> int:
        """Return the initial count that the endpoint's config has: the least capacity where none is given, as in the CDK."""
        hook = self.sagemaker_hook
        described = hook.describe_endpoint(endpoint)
        if described is None:
            raise NotFoundError(f"There is no endpoint {endpoint!r}.")
        config = hook.describe_endpoint_config(described["EndpointConfigName"]) or {}
        variants = {item["VariantName"]: item for item in config.get("ProductionVariants", [])}
        if variant not in variants:
            raise NotFoundError(
                f"Endpoint {endpoint} has no variant {variant!r}; it has: {', '.join(variants) or 'none'}."
            )
        initial = int(variants[variant].get("InitialInstanceCount") or 1)
        if initial > maximum:
            raise InvalidSpecError(
                f"max_capacity is {maximum}, less than the {initial} initial instances of variant {variant}; "
                f"allowed: {initial} or more, or a min_capacity."
            )
        return initial

    def _register(self, hook: ApplicationAutoScalingHook, target: dict[str, Any]) -> list[str]:
        from airflow_sm_hosting.deployment.difference import differences

        found = [
            item
            for item in hook.scalable_targets([target["ResourceId"]])
            if item["ScalableDimension"] == target["ScalableDimension"]
        ]
        if found and not differences(target, found[0]):
            return []
        hook.until_registered(
            lambda: hook.conn.register_scalable_target(**target, **({} if found else {"Tags": OURS}))
        )
        self.log.info(
            "%s scales from %d to %d", target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]
        )
        return ["scalable target"]

    def _put_policies(self, hook: ApplicationAutoScalingHook, policies: list[dict[str, Any]]) -> list[str]:
        found = hook.scaling_policies(policies[0]["ResourceId"]) if policies else []
        put = hook.conn.put_scaling_policy
        written = self._put(hook, "PutScalingPolicy", put, "PolicyName", policies, found)
        return [f"policy {name}" for name in written]

    def _put_actions(self, hook: ApplicationAutoScalingHook, actions: list[dict[str, Any]]) -> list[str]:
        found = hook.scheduled_actions(actions[0]["ResourceId"]) if actions else []
        put = hook.conn.put_scheduled_action
        written = self._put(hook, "PutScheduledAction", put, "ScheduledActionName", actions, found)
        return [f"scheduled action {name}" for name in written]

    def _put(
        self,
        hook: ApplicationAutoScalingHook,
        operation: str,
        put: Callable[..., Any],
        name_member: str,
        wanted: list[dict[str, Any]],
        found: list[dict[str, Any]],
    ) -> list[str]:
        """Put what differs from what was found, and return its names."""
        by_name = {item[name_member]: item for item in found}
        written = []
        for request in wanted:
            name = request[name_member]
            lines = _changes(request, by_name.get(name), operation)
            if lines:
                hook.until_registered(partial(put, **request))
                self.log.info("%s %s: %s", operation, name, "; ".join(lines))
                written.append(name)
        return written


def _changes(wanted: dict[str, Any], there: dict[str, Any] | None, operation: str) -> list[str]:
    """Return what putting it would change: what is asked for and different, and what is there and no longer asked for."""
    from airflow_sm_hosting.deployment.difference import ABSENT, differences, unwanted
    from airflow_sm_hosting.hooks.service_model import input_shape

    if there is None:
        return ABSENT
    members = input_shape("application-autoscaling", operation).members
    return differences(wanted, there) + unwanted(wanted, there, members)
