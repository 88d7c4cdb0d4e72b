"""Production variants of an endpoint config."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.container import check_member_names
from airflow_sm_hosting.spec.rules import (
    check_instance_type,
    check_integer,
    check_model_name,
    check_name,
    check_number,
    check_one_of,
    check_seconds,
    is_rendered_later,
    present,
    seconds,
)

ACCELERATORS_ARE_GONE = (
    "AWS ended Elastic Inference in April 2024; allowed: an instance type with the accelerator."
)
SERVERLESS_MEMORY_SIZES = (
    1024,
    2048,
    3072,
    4096,
    5120,
    6144,
)  # ServerlessConfig.MemorySizeInMB documentation


class InstanceProductionVariant(dict[str, Any]):
    """A variant on instances, in the shape of the ``ProductionVariant`` of CreateEndpointConfig.

    :param model_name: The model: a name, or the output of a ``CreateModelOperator``. (templated)
    :param variant_name: Name of the variant, unique in its config. (templated)
    :param instance_type: Instance type (default: ``ml.t2.medium``, which is burstable and cannot be autoscaled). (templated)
    :param initial_instance_count: Instances at the start, 1 or more (default: 1). (templated)
    :param initial_variant_weight: Share of the traffic relative to the sum of all weights, 0 or more (default: 1.0). (templated)
    :param container_startup_health_check_timeout: Seconds (60 to 3600) or a timedelta that the container has to answer its first ping
        (default: AWS's). (templated)
    :param model_data_download_timeout: Seconds (60 to 3600) or a timedelta for the download of the model data (default: AWS's). (templated)
    :param volume_size_in_gb: Size of the storage volume in GB, 1 to 512 (default: AWS's). (templated)
    :param members: Further members of the AWS shape as they are, e.g. ``RoutingConfig={…}``, ``InferenceAmiVersion="…"``.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
    """

    def __init__(
        self,
        *,
        model_name: Any,
        variant_name: Any,
        instance_type: Any = "ml.t2.medium",
        initial_instance_count: Any = 1,
        initial_variant_weight: Any = 1.0,
        container_startup_health_check_timeout: Any = None,
        model_data_download_timeout: Any = None,
        volume_size_in_gb: Any = None,
        **members: Any,
    ) -> None:
        where = type(self).__name__
        check_model_name(f"{where}: model_name", model_name)
        check_name(f"{where}: variant_name", variant_name)
        check_instance_type(f"{where}: instance_type", instance_type)
        check_integer(f"{where}: initial_instance_count", initial_instance_count, 1)
        check_number(f"{where}: initial_variant_weight", initial_variant_weight, low=0)
        if container_startup_health_check_timeout is not None:
            check_seconds(
                f"{where}: container_startup_health_check_timeout",
                container_startup_health_check_timeout,
                60,
                3600,
            )
        if model_data_download_timeout is not None:
            check_seconds(f"{where}: model_data_download_timeout", model_data_download_timeout, 60, 3600)
        if volume_size_in_gb is not None:
            check_integer(f"{where}: volume_size_in_gb", volume_size_in_gb, 1, 512)
        if "AcceleratorType" in members:
            raise InvalidSpecError(f"{where}: AcceleratorType is not supported: {ACCELERATORS_ARE_GONE}")
        check_member_names(where, members)
        super().__init__(
            present(
                VariantName=variant_name,
                ModelName=model_name,
                InstanceType=instance_type,
                InitialInstanceCount=initial_instance_count,
                InitialVariantWeight=initial_variant_weight,
                ContainerStartupHealthCheckTimeoutInSeconds=seconds(container_startup_health_check_timeout),
                ModelDataDownloadTimeoutInSeconds=seconds(model_data_download_timeout),
                VolumeSizeInGB=volume_size_in_gb,
                **members,
            )
        )


class ServerlessProductionVariant(dict[str, Any]):
    """A serverless variant, in the shape of the ``ProductionVariant`` of CreateEndpointConfig; it is the only one of its config.

    :param model_name: The model: a name, or the output of a ``CreateModelOperator``. (templated)
    :param variant_name: Name of the variant. (templated)
    :param max_concurrency: Requests served at once, 1 to 200. (templated)
    :param memory_size_in_mb: 1024, 2048, 3072, 4096, 5120 or 6144. (templated)
    :param provisioned_concurrency: Requests for which capacity is held ready, 1 to 200, at most ``max_concurrency`` (default: none). (templated)
    :param initial_variant_weight: 0 or more (default: 1.0). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
    """

    def __init__(
        self,
        *,
        model_name: Any,
        variant_name: Any,
        max_concurrency: Any,
        memory_size_in_mb: Any,
        provisioned_concurrency: Any = None,
        initial_variant_weight: Any = 1.0,
    ) -> None:
        where = type(self).__name__
        check_model_name(f"{where}: model_name", model_name)
        check_name(f"{where}: variant_name", variant_name)
        check_integer(f"{where}: max_concurrency", max_concurrency, 1, 200)
        check_one_of(f"{where}: memory_size_in_mb", memory_size_in_mb, SERVERLESS_MEMORY_SIZES)
        check_number(f"{where}: initial_variant_weight", initial_variant_weight, low=0)
        if provisioned_concurrency is not None:
            literal = isinstance(max_concurrency, int) and not is_rendered_later(max_concurrency)
            check_integer(
                f"{where}: provisioned_concurrency (at most max_concurrency)",
                provisioned_concurrency,
                1,
                max_concurrency if literal else 200,
            )
        super().__init__(
            VariantName=variant_name,
            ModelName=model_name,
            InitialVariantWeight=initial_variant_weight,
            ServerlessConfig=present(
                MemorySizeInMB=memory_size_in_mb,
                MaxConcurrency=max_concurrency,
                ProvisionedConcurrency=provisioned_concurrency,
            ),
        )
