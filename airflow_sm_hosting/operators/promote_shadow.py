"""Promote the shadow variant of an endpoint: its model becomes the production variant's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow_sm_hosting.exceptions import ConflictError, NotFoundError
from airflow_sm_hosting.fields import Choice, Resource, optional
from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointFields, DeployEndpointOperator
from airflow_sm_hosting.spec.arn import ENDPOINT_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

CAPACITIES: tuple[Literal["production", "shadow"], ...] = ("production", "shadow")


class PromoteShadowFields(DeployEndpointFields):
    """The parameters of :class:`PromoteShadowOperator`."""

    endpoint_config_name = optional(Resource(ENDPOINT_CONFIG))
    capacity = Choice(CAPACITIES, default="production")


class PromoteShadowOperator(DeployEndpointOperator):
    """Deploy a new endpoint config in which the shadow's model serves in place of the production variant's, without a shadow.

    The config is derived from the one that serves (``sagemaker:CreateEndpointConfig``), and deployed as
    :class:`~airflow_sm_hosting.DeployEndpointOperator` deploys: verified, with rollout, alarms and smoke test. The variant keeps its name,
    so its alarms and its scaling stay; a rollback brings the config with the shadow back. A rerun after the promotion changes nothing.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#promoteshadowoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/shadow-tests-complete.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param capacity: Whose instance type and count the variant has: ``"production"`` (default) or ``"shadow"``. (templated)
    :param kwargs: ``rollout``, ``auto_rollback_alarms``, ``new_fleet_alarms``, ``retain_variant_properties``, ``adopt``, ``allow_older``,
        ``strict``, ``wait_for_alarms``, ``smoke_test``, ``on_smoke_failure``, ``tags``, ``wait_for_completion``, ``deferrable``,
        ``poll_interval`` and ``timeout``, as :class:`~airflow_sm_hosting.DeployEndpointOperator` has them.
    :raises NotFoundError: When the endpoint does not exist, or has no shadow variant.
    :raises DeploymentRolledBackError: When SageMaker rolled back to the config with the shadow.
    :raises DeploymentFailedError: When the endpoint does not serve the new config.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises SmokeTestFailedError: When the smoke test fails.
    :raises ConflictError: When the endpoint is not ours, or cannot be updated.
    :return: The endpoint's name; ``details`` as of DeployEndpointOperator.
    """

    fields = PromoteShadowFields
    template_fields: Sequence[str] = PromoteShadowFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = PromoteShadowFields.template_fields_renderers()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        capacity: Literal["production", "shadow"] | Late = "production",
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(
            endpoint_name=endpoint_name,
            endpoint_config_name=None,  # type: ignore[arg-type]  # derived from the one that serves
            **kwargs,
        )
        self.capacity = capacity

    def execute(self, context: Context) -> str:
        """Create the config, and deploy it."""
        given = PromoteShadowFields.of(self)
        self.check_arns("endpoint_name")
        self.endpoint_config_name = self._promoted(given)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the deferred wait."""
        self.endpoint_config_name = event["carried"]["promoted"]
        return super().execute_complete(context, event)

    def _carried(self) -> dict[str, Any]:
        return {"promoted": self.endpoint_config_name}

    def _promoted(self, given: PromoteShadowFields) -> str:
        """Return the name of the config in which the shadow serves; create it if it does not exist.

        After the promotion, the config with the shadow is one that served before, as the endpoint's tags say.
        """
        from airflow_sm_hosting.deployment.history import remembered
        from airflow_sm_hosting.deployment.shadow import base_name, variants_of
        from airflow_sm_hosting.operators.immutable import ENDPOINT_CONFIG as CONFIG, make_once
        from airflow_sm_hosting.spec.tags import PREVIOUS_ENDPOINT_CONFIGS, is_ours

        hook, endpoint = self.sagemaker_hook, given.endpoint_name
        described = hook.describe_endpoint(endpoint)
        if described is None:
            raise NotFoundError(f"There is no endpoint {endpoint!r}.")
        live, tags = described["EndpointConfigName"], hook.tags(described["EndpointArn"])
        config: Mapping[str, Any] = hook.describe_endpoint_config(live) or {}
        if found := variants_of(config):
            if not given.adopt and not is_ours(tags):
                raise ConflictError(
                    f"Endpoint {endpoint} exists without this package's tags, so something else created it; adopt=True takes it over."
                )
            self.log.info(
                "Promoting shadow variant %s to %s", found[1]["VariantName"], found[0]["VariantName"]
            )
            request = self._request(config, given)
            return make_once(hook, CONFIG, base_name(live), request, tags=given.tags, unique_name=True).name
        for name in remembered(tags.get(PREVIOUS_ENDPOINT_CONFIGS)):
            before: Mapping[str, Any] = hook.describe_endpoint_config(name) or {}
            if variants_of(before) and self._name(name, self._request(before, given)) == live:
                self.log.info("The shadow variant of %s is promoted already", name)
                return live
        raise NotFoundError(
            f"Endpoint {endpoint} serves endpoint config {live}, which has no shadow variant; allowed: an endpoint whose config has "
            "shadow_production_variants."
        )

    @staticmethod
    def _request(config: Mapping[str, Any], given: PromoteShadowFields) -> dict[str, Any]:
        from airflow_sm_hosting.deployment.shadow import promoted_request
        from airflow_sm_hosting.service_model.shapes import input_shape

        members = input_shape("sagemaker", "CreateEndpointConfig").members
        return promoted_request(config, set(members), capacity=given.capacity)

    @staticmethod
    def _name(config_name: str, request: Mapping[str, Any]) -> str:
        """Return the name that the config of a request has."""
        from airflow_sm_hosting.deployment.shadow import base_name
        from airflow_sm_hosting.service_model.request import validated_request
        from airflow_sm_hosting.spec.naming import content_digest, content_name

        base = base_name(config_name)
        typed = validated_request(
            "sagemaker", "CreateEndpointConfig", {"EndpointConfigName": base, **request}
        )
        return content_name(base, content_digest("CreateEndpointConfig", typed))
