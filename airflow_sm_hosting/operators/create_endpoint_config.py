"""Create an endpoint config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.base import MOST_TAGS, SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.checks import check_boolean, check_name, check_tags
from airflow_sm_hosting.spec.endpoint_config import (
    check_endpoint_config,
    endpoint_config_request,
    models_of_variants,
    with_model_names,
)
from airflow_sm_hosting.spec.rendered import as_list, as_string, as_tags

if TYPE_CHECKING:
    from airflow.sdk import Context


class CreateEndpointConfigOperator(SageMakerHostingBaseOperator):
    """Create a SageMaker endpoint config, unless one with the same content exists (``sagemaker:CreateEndpointConfig``).

    Its name ends with a digest of the content: the same content is the same config, and the old one stays for the rollback.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:CreateEndpointConfigOperator`, and the API:
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html

    :param endpoint_config_name: Name of the config; ``-<10 hex digits of the content>`` is added. (templated)
    :param production_variants: 1 to 10 :class:`~airflow_sm_hosting.InstanceProductionVariant`, or one
        :class:`~airflow_sm_hosting.ServerlessProductionVariant`; dicts in the AWS shape are taken too. Models that something else made
        are taken by name or ARN. (templated)
    :param shadow_production_variants: One variant that gets a copy of the traffic, beside exactly one production variant. (templated)
    :param kms_key_id: Key of the instances' storage volumes, as id, alias or ARN. (templated)
    :param data_capture_config: ``DataCaptureConfig`` of the AWS shape. (templated)
    :param async_inference_config: ``AsyncInferenceConfig`` of the AWS shape. (templated)
    :param explainer_config: ``ExplainerConfig`` of the AWS shape. (templated)
    :param tags: Tags, as a dict; on a config that exists they are reconciled, other people's tags are left alone. (templated)
    :param extra_members: Further members of the AWS request, e.g. ``{"MetricsConfig": {…}}``. (templated)
    :param unique_name: Whether the name ends with the digest of the content (default: True). With False the name is exact.
    :raises InvalidSpecError: For what SageMaker would refuse, before the first AWS call.
    :raises ConflictError: When a config of that exact name has other content.
    :return: The endpoint config's name.
    """

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "endpoint_config_name",
        "production_variants",
        "shadow_production_variants",
        "kms_key_id",
        "data_capture_config",
        "async_inference_config",
        "explainer_config",
        "tags",
        "extra_members",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "production_variants": "json",
        "shadow_production_variants": "json",
        "data_capture_config": "json",
        "async_inference_config": "json",
        "explainer_config": "json",
        "tags": "json",
        "extra_members": "json",
    }

    def __init__(
        self,
        *,
        endpoint_config_name: str,
        production_variants: Any,
        shadow_production_variants: Any = None,
        kms_key_id: str | None = None,
        data_capture_config: Any = None,
        async_inference_config: Any = None,
        explainer_config: Any = None,
        tags: Any = None,
        extra_members: Any = None,
        unique_name: bool = True,
        **kwargs: Any,
    ) -> None:
        where = "CreateEndpointConfigOperator"
        check_name(f"{where}: endpoint_config_name", endpoint_config_name)
        check_boolean(f"{where}: unique_name", unique_name)
        check_tags(f"{where}: tags", tags, most=MOST_TAGS)
        check_endpoint_config(
            production_variants=production_variants,
            shadow_production_variants=shadow_production_variants,
            kms_key_id=kms_key_id,
            data_capture_config=data_capture_config,
            async_inference_config=async_inference_config,
            explainer_config=explainer_config,
            extra_members=extra_members,
        )
        super().__init__(**kwargs)
        self.endpoint_config_name = endpoint_config_name
        self.production_variants = production_variants
        self.shadow_production_variants = shadow_production_variants
        self.kms_key_id = kms_key_id
        self.data_capture_config = data_capture_config
        self.async_inference_config = async_inference_config
        self.explainer_config = explainer_config
        self.tags = tags
        self.extra_members = extra_members
        self.unique_name = unique_name

    def execute(self, context: Context) -> str:
        """Name the content, and create it if it is not there."""
        from airflow_sm_hosting.hooks.requests import prepared
        from airflow_sm_hosting.operators.immutable import ENDPOINT_CONFIG, make_once

        variants = as_list("production_variants", self.production_variants)
        shadows = self.shadow_production_variants
        if shadows is not None:
            shadows = as_list("shadow_production_variants", shadows)
        options = {
            "kms_key_id": self.kms_key_id,
            "data_capture_config": self.data_capture_config,
            "async_inference_config": self.async_inference_config,
            "explainer_config": self.explainer_config,
        }
        check_name("endpoint_config_name", as_string("endpoint_config_name", self.endpoint_config_name))
        check_endpoint_config(
            production_variants=variants,
            shadow_production_variants=shadows,
            extra_members=self.extra_members,
            **options,
        )
        tags = as_tags("tags", self.tags, most=MOST_TAGS)
        request = endpoint_config_request(
            production_variants=with_model_names("production_variants", variants),
            shadow_production_variants=None
            if shadows is None
            else with_model_names("shadow_production_variants", shadows),
            **options,
            **(self.extra_members or {}),
        )
        prepared(
            "sagemaker", "CreateEndpointConfig", {"EndpointConfigName": self.endpoint_config_name, **request}
        )
        hook = self.sagemaker_hook
        hook.check_arns(
            {
                **models_of_variants("production_variants", variants),
                **models_of_variants("shadow_production_variants", shadows or []),
            }
        )
        made = make_once(
            hook,
            ENDPOINT_CONFIG,
            self.endpoint_config_name,
            request,
            tags=tags,
            unique_name=self.unique_name,
        )
        self.tell_details(context, {"endpoint_config_arn": made.arn, "created": made.created})
        return made.name
