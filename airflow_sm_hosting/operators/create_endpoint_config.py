"""Create an endpoint config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.fields import Boolean, ListOf, Structure, Tags, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import EndpointConfigLink
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.lineage import LineageTask
from airflow_sm_hosting.spec.checks import check_kms_key, check_name, check_role
from airflow_sm_hosting.spec.endpoint_config import (
    CONFIG_PARAMETERS,
    check_endpoint_config,
    endpoint_config_request,
    models_of_variants,
    with_model_names,
)
from airflow_sm_hosting.spec.members import check_member_names, check_members
from airflow_sm_hosting.spec.naming import warn_of_cut_base
from airflow_sm_hosting.spec.reference import present

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.variant import InstanceProductionVariant, ServerlessProductionVariant


class ExtraMembers(Structure):
    """Members of the request that have no parameter."""

    def check(self, where: str, value: Any) -> None:
        """Check the names of literal members."""
        if isinstance(value, dict):
            check_member_names(where, value, CONFIG_PARAMETERS)
            check_members(where, value, "CreateEndpointConfigInput", CONFIG_PARAMETERS)
        super().check(where, value)


class CreateEndpointConfigFields(AwsFields):
    """The parameters of :class:`CreateEndpointConfigOperator`."""

    endpoint_config_name = Text(check_name)
    production_variants = ListOf(of="ProductionVariant", default=None, json=True)
    shadow_production_variants = optional(ListOf(of="ProductionVariant", default=None, json=True))
    # A blank key is an error, not None: otherwise volumes would be unencrypted by mistake.
    kms_key_id = optional(Text(check_kms_key, blank=False))
    data_capture_config = optional(Structure(of="DataCaptureConfig"))
    async_inference_config = optional(Structure(of="AsyncInferenceConfig"))
    explainer_config = optional(Structure(of="ExplainerConfig"))
    execution_role = optional(Text(check_role))
    vpc_config = optional(Structure(of="VpcConfig"))
    metrics_config = optional(Structure(of="MetricsConfig"))
    enable_network_isolation = optional(Boolean())
    cross_region_traffic_config = optional(Structure(of="CrossRegionTrafficConfig"))
    tags = Tags(most=MOST_TAGS)
    extra_members = optional(ExtraMembers())
    unique_name = Boolean(default=True, templated=False)

    @property
    def options(self) -> dict[str, Any]:
        """The members beside the variants that have parameters of their own."""
        return {
            "kms_key_id": self.kms_key_id,
            "data_capture_config": self.data_capture_config,
            "async_inference_config": self.async_inference_config,
            "explainer_config": self.explainer_config,
        }

    def check_together(self, where: str) -> None:
        """Check the variants, and the members that depend on them."""
        if self.unique_name:
            warn_of_cut_base(f"{where}endpoint_config_name", self.endpoint_config_name)
        check_endpoint_config(
            production_variants=self.production_variants,
            shadow_production_variants=self.shadow_production_variants,
            execution_role=self.execution_role,
            vpc_config=self.vpc_config,
            metrics_config=self.metrics_config,
            enable_network_isolation=self.enable_network_isolation,
            cross_region_traffic_config=self.cross_region_traffic_config,
            extra_members=self.extra_members,
            **self.options,
        )


class CreateEndpointConfigOperator(LineageTask, SageMakerHostingBaseOperator):
    """Create a SageMaker endpoint config, unless one with the same content exists (``sagemaker:CreateEndpointConfig``).

    Its name ends with a digest of the content: the same content is the same config, and the old one stays for the rollback.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#createendpointconfigoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html

    :param endpoint_config_name: Name of the config; ``-<10 hex digits of the content>`` is added. (templated)
    :param production_variants: 1 to 10 :class:`~airflow_sm_hosting.InstanceProductionVariant`, or one
        :class:`~airflow_sm_hosting.ServerlessProductionVariant`; dicts in the AWS shape are accepted too. Models from other sources
        are given by name or ARN. (templated)
    :param shadow_production_variants: One variant that gets a copy of the traffic, beside exactly one production variant. (templated)
    :param kms_key_id: Key of the instances' storage volumes, as id, alias or ARN. (templated)
    :param data_capture_config: A :class:`~airflow_sm_hosting.DataCapture` (default: none). (templated)
    :param async_inference_config: An :class:`~airflow_sm_hosting.AsyncInference`; the endpoint is asynchronous then (default: none). (templated)
    :param explainer_config: An :class:`~airflow_sm_hosting.Explainer` (default: none). (templated)
    :param execution_role: IAM role that SageMaker assumes for inference components, as name or ARN; required where a variant has no model,
        else the models have theirs (default: none). (templated)
    :param vpc_config: A :class:`~airflow_sm_hosting.VpcConfig`, for inference components; else the models have theirs (default: none).
        (templated)
    :param metrics_config: A :class:`~airflow_sm_hosting.Metrics` (default: AWS's). (templated)
    :param enable_network_isolation: Whether the containers of inference components have no network; else the models say it (default: AWS's,
        False). (templated)
    :param cross_region_traffic_config: ``CrossRegionTrafficConfig`` of the AWS shape: how much of inference routers in other Regions is
        accepted (default: none). (templated)
    :param tags: Tags, as a dict; on an existing config they are reconciled, other people's tags stay unchanged. (templated)
    :param extra_members: Further members of the AWS request, which AWS has added. (templated)
    :param unique_name: Whether the name ends with the digest of the content (default: True). With False the name is exact.
    :raises InvalidSpecError: Before the first AWS call, when SageMaker would refuse the request.
    :raises ConflictError: When a config with this exact name has other content.
    :return: The endpoint config's name.
    """

    fields = CreateEndpointConfigFields
    template_fields: Sequence[str] = CreateEndpointConfigFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        CreateEndpointConfigFields.template_fields_renderers()
    )
    operator_extra_links = (EndpointConfigLink(),)

    def __init__(
        self,
        *,
        endpoint_config_name: Late,
        production_variants: Sequence[
            InstanceProductionVariant | ServerlessProductionVariant | Mapping[str, Any] | Late
        ]
        | Late,
        shadow_production_variants: Sequence[InstanceProductionVariant | Mapping[str, Any] | Late]
        | Late
        | None = None,
        kms_key_id: Late | None = None,
        data_capture_config: Mapping[str, Any] | Late | None = None,
        async_inference_config: Mapping[str, Any] | Late | None = None,
        explainer_config: Mapping[str, Any] | Late | None = None,
        execution_role: Late | None = None,
        vpc_config: Mapping[str, Any] | Late | None = None,
        metrics_config: Mapping[str, Any] | Late | None = None,
        enable_network_isolation: bool | Late | None = None,
        cross_region_traffic_config: Mapping[str, Any] | Late | None = None,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        extra_members: Mapping[str, Any] | Late | None = None,
        unique_name: bool = True,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_config_name = endpoint_config_name
        self.production_variants = production_variants
        self.shadow_production_variants = shadow_production_variants
        self.kms_key_id = kms_key_id
        self.data_capture_config = data_capture_config
        self.async_inference_config = async_inference_config
        self.explainer_config = explainer_config
        self.execution_role = execution_role
        self.vpc_config = vpc_config
        self.metrics_config = metrics_config
        self.enable_network_isolation = enable_network_isolation
        self.cross_region_traffic_config = cross_region_traffic_config
        self.tags = tags
        self.extra_members = extra_members
        self.unique_name = unique_name

    def execute(self, context: Context) -> str:
        """Derive the name from the content, and create the config if it does not exist."""
        from airflow_sm_hosting.lineage import sagemaker_dataset
        from airflow_sm_hosting.operators.immutable import ENDPOINT_CONFIG, make_once
        from airflow_sm_hosting.service_model.request import validated_request

        given = CreateEndpointConfigFields.of(self)
        name, variants, shadows = (
            given.endpoint_config_name,
            given.production_variants,
            given.shadow_production_variants,
        )
        request = endpoint_config_request(
            production_variants=with_model_names("production_variants", variants),
            shadow_production_variants=None
            if shadows is None
            else with_model_names("shadow_production_variants", shadows),
            **given.options,
            **present(
                VpcConfig=given.vpc_config,
                MetricsConfig=given.metrics_config,
                EnableNetworkIsolation=given.enable_network_isolation,
                CrossRegionTrafficConfig=given.cross_region_traffic_config,
            ),
            **(given.extra_members or {}),
        )
        validated_request("sagemaker", "CreateEndpointConfig", {"EndpointConfigName": name, **request})
        hook = self.sagemaker_hook
        if given.execution_role:
            # Resolved before the name is derived from the content.
            request["ExecutionRoleArn"] = hook.role_arn(given.execution_role)
        hook.check_arns(
            {
                **models_of_variants("production_variants", variants),
                **models_of_variants("shadow_production_variants", shadows or []),
            }
        )
        made = make_once(hook, ENDPOINT_CONFIG, name, request, tags=given.tags, unique_name=given.unique_name)
        all_variants = [*request["ProductionVariants"], *(request.get("ShadowProductionVariants") or ())]
        models = dict.fromkeys(one["ModelName"] for one in all_variants if one.get("ModelName"))
        region = hook.conn_region_name
        self.note_lineage(
            [sagemaker_dataset(region, "model", model) for model in models],
            [sagemaker_dataset(region, "endpoint-config", made.name)],
        )
        for link in self.operator_extra_links:
            link.persist_for(context, hook, endpoint_config_name=made.name)
        self.push_details(context, {"endpoint_config_arn": made.arn, "created": made.created})
        return made.name
