"""Production variants of an endpoint config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.arn import MODEL, check_resource
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_boolean,
    check_instance_type,
    check_instance_type_form,
    check_integer,
    check_name,
    check_number,
    check_one_of,
    check_seconds,
    check_structure,
    check_text,
    check_unique,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.combinations import check_variant_combinations
from airflow_sm_hosting.spec.described_shape import check_described
from airflow_sm_hosting.spec.members import check_given_once, check_member_names, check_members, check_plain
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.rendered import as_number, seconds, whole_number
from airflow_sm_hosting.spec.templated import (
    RenderedLater,
    TemplatedBool,
    TemplatedDict,
    TemplatedFloat,
    TemplatedInt,
    TemplatedSeconds,
    TemplatedStr,
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

    :param model_name: The model: a name, an ARN of the config's own account and Region, or the output of a ``CreateModelOperator``
        (default: none, for the instances of inference components; the config then needs an execution role). (templated)
    :param variant_name: Name of the variant, unique in its config. (templated)
    :param instance_type: Instance type (default: ``ml.t2.medium``, which is burstable and cannot be autoscaled); None only
        with ``instance_pools``. (templated)
    :param initial_instance_count: Instances at the start, 1 or more (default: 1). (templated)
    :param initial_variant_weight: Share of the traffic relative to the sum of all weights, 0 or more (default: 1.0). (templated)
    :param container_startup_health_check_timeout: Seconds (60 to 3600) or a timedelta that the container has to answer its first ping
        (default: AWS's). (templated)
    :param model_data_download_timeout: Seconds (60 to 3600) or a timedelta for the download of the model data (default: AWS's). (templated)
    :param volume_size_in_gb: Size of the storage volume in GB, 1 to 512 (default: AWS's). (templated)
    :param instance_pools: 1 to 5 :class:`~airflow_sm_hosting.InstancePool`, in place of ``instance_type`` (default: one type). (templated)
    :param instance_provision_timeout: Seconds (300 to 3600) or a timedelta that SageMaker tries to get instances (default: AWS's). (templated)
    :param managed_instance_scaling: A :class:`~airflow_sm_hosting.ManagedInstanceScaling`, only without a model (default: none). (templated)
    :param routing: A :class:`~airflow_sm_hosting.Routing` (default: AWS's). (templated)
    :param capacity_reservation: A :class:`~airflow_sm_hosting.CapacityReservation` (default: none). (templated)
    :param inference_ami_version: Version of the instances' system, e.g. ``al2-ami-sagemaker-inference-gpu-3-1`` (default: AWS's). (templated)
    :param enable_ssm_access: Whether the containers can be reached by Systems Manager (default: AWS's, False). (templated)
    :param members: Further members of the AWS shape as they are, e.g. ``CoreDumpConfig={…}``; those above are accepted in AWS's spelling, too.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
    """

    def __init__(
        self,
        *,
        model_name: TemplatedStr | None = None,
        variant_name: TemplatedStr,
        instance_type: TemplatedStr | None = "ml.t2.medium",
        initial_instance_count: TemplatedInt = 1,
        initial_variant_weight: TemplatedFloat = 1.0,
        container_startup_health_check_timeout: TemplatedSeconds | None = None,
        model_data_download_timeout: TemplatedSeconds | None = None,
        volume_size_in_gb: TemplatedInt | None = None,
        instance_pools: Sequence[TemplatedDict] | RenderedLater | None = None,
        instance_provision_timeout: TemplatedSeconds | None = None,
        managed_instance_scaling: TemplatedDict | None = None,
        routing: TemplatedDict | None = None,
        capacity_reservation: TemplatedDict | None = None,
        inference_ami_version: TemplatedStr | None = None,
        enable_ssm_access: TemplatedBool | None = None,
        **members: Any,
    ) -> None:
        where, problems = type(self).__name__, Problems()
        named = present(
            InstancePools=instance_pools,
            VariantInstanceProvisionTimeoutInSeconds=instance_provision_timeout,
            ManagedInstanceScaling=managed_instance_scaling,
            RoutingConfig=routing,
            CapacityReservationConfig=capacity_reservation,
            InferenceAmiVersion=inference_ami_version,
            EnableSSMAccess=enable_ssm_access,
        )
        if members:
            with problems:
                check_member_names(where, members, INSTANCE_PARAMETERS, either=EITHER_SPELLING)
                check_members(where, members, "ProductionVariant", INSTANCE_PARAMETERS)
            with problems:
                check_given_once(where, members, named, EITHER_SPELLING)
        for member, structure in MEMBER_STRUCTURES.items():
            with problems:
                check_plain(f"{where}: {EITHER_SPELLING[member]}", named.get(member), structure)
        if isinstance(instance_pools, list | tuple):
            for index, pool in enumerate(instance_pools):
                with problems:
                    check_plain(f"{where}: instance_pools[{index}]", pool, "InstancePool")
        if instance_provision_timeout is not None:
            with problems:
                check_seconds(f"{where}: instance_provision_timeout", instance_provision_timeout, 300, 3600)
        if inference_ami_version is not None:
            with problems:
                check_text(
                    f"{where}: inference_ami_version",
                    inference_ami_version,
                    pattern=r"[A-Za-z0-9][A-Za-z0-9.\-]*",
                    allowed="a version such as 'al2-ami-sagemaker-inference-gpu-3-1'",
                )
        if enable_ssm_access is not None:
            with problems:
                check_boolean(f"{where}: enable_ssm_access", enable_ssm_access)
        members = {**members, **named}
        if "VariantInstanceProvisionTimeoutInSeconds" in named:
            members["VariantInstanceProvisionTimeoutInSeconds"] = seconds(instance_provision_timeout)
        if model_name is not None:
            with problems:
                check_resource(f"{where}: model_name", model_name, MODEL)
        with problems:
            check_name(f"{where}: variant_name", variant_name)
        with problems:
            if members.get("InstancePools") is None:
                check_instance_type(f"{where}: instance_type", instance_type)
            elif instance_type is not None:
                raise invalid(
                    f"{where}: instance_type",
                    instance_type,
                    "None with InstancePools, which contain the types",
                )
        with problems:
            check_integer(f"{where}: initial_instance_count", initial_instance_count, 1)
        with problems:
            check_number(f"{where}: initial_variant_weight", initial_variant_weight, low=0)
        if container_startup_health_check_timeout is not None:
            with problems:
                check_seconds(
                    f"{where}: container_startup_health_check_timeout",
                    container_startup_health_check_timeout,
                    60,
                    3600,
                )
        if model_data_download_timeout is not None:
            with problems:
                check_seconds(f"{where}: model_data_download_timeout", model_data_download_timeout, 60, 3600)
        if volume_size_in_gb is not None:
            with problems:
                check_integer(f"{where}: volume_size_in_gb", volume_size_in_gb, 1, 512)
        if "AcceleratorType" in members:
            with problems:
                raise InvalidSpecError(f"{where}: AcceleratorType is not supported: {ACCELERATORS_ARE_GONE}")
        problems.tell()
        variant = present(
            VariantName=variant_name,
            ModelName=model_name,
            InstanceType=instance_type,
            InitialInstanceCount=initial_instance_count,
            InitialVariantWeight=initial_variant_weight,
            ContainerStartupHealthCheckTimeoutInSeconds=seconds(container_startup_health_check_timeout),
            ModelDataDownloadTimeoutInSeconds=seconds(model_data_download_timeout),
            VolumeSizeInGB=volume_size_in_gb,
        )
        variant |= members
        check_variant(where, variant)
        super().__init__(variant)


class ServerlessProductionVariant(dict[str, Any]):
    """A serverless variant, in the shape of the ``ProductionVariant`` of CreateEndpointConfig; it is the only one of its config.

    :param model_name: The model: a name, an ARN of the config's own account and Region, or the output of a ``CreateModelOperator``. (templated)
    :param variant_name: Name of the variant. (templated)
    :param max_concurrency: Requests served at once, 1 to 200. (templated)
    :param memory_size_in_mb: 1024, 2048, 3072, 4096, 5120 or 6144. (templated)
    :param provisioned_concurrency: Requests with provisioned capacity, 1 to 200, at most ``max_concurrency`` (default: none). (templated)
    :param initial_variant_weight: 0 or more (default: 1.0). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariantServerlessConfig.html
    """

    def __init__(
        self,
        *,
        model_name: TemplatedStr,
        variant_name: TemplatedStr,
        max_concurrency: TemplatedInt,
        memory_size_in_mb: TemplatedInt,
        provisioned_concurrency: TemplatedInt | None = None,
        initial_variant_weight: TemplatedFloat = 1.0,
    ) -> None:
        where, problems = type(self).__name__, Problems()
        with problems:
            check_resource(f"{where}: model_name", model_name, MODEL)
        with problems:
            check_name(f"{where}: variant_name", variant_name)
        with problems:
            check_integer(f"{where}: max_concurrency", max_concurrency, 1, 200)
        with problems:
            check_one_of(f"{where}: memory_size_in_mb", memory_size_in_mb, SERVERLESS_MEMORY_SIZES)
        with problems:
            check_number(f"{where}: initial_variant_weight", initial_variant_weight, low=0)
        if provisioned_concurrency is not None:
            with problems:
                check_integer(
                    f"{where}: provisioned_concurrency (at most max_concurrency)",
                    provisioned_concurrency,
                    1,
                    max_concurrency if isinstance(max_concurrency, int) else 200,
                )
        problems.tell()
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


#: Members of ProductionVariant that have a parameter of InstanceProductionVariant.
INSTANCE_PARAMETERS = {
    "VariantName": "variant_name",
    "ModelName": "model_name",
    "InstanceType": "instance_type",
    "InitialInstanceCount": "initial_instance_count",
    "InitialVariantWeight": "initial_variant_weight",
    "ContainerStartupHealthCheckTimeoutInSeconds": "container_startup_health_check_timeout",
    "ModelDataDownloadTimeoutInSeconds": "model_data_download_timeout",
    "VolumeSizeInGB": "volume_size_in_gb",
}

#: Members that have a parameter, and may be given in AWS's spelling, too, as they could before they had one.
EITHER_SPELLING = {
    "InstancePools": "instance_pools",
    "VariantInstanceProvisionTimeoutInSeconds": "instance_provision_timeout",
    "ManagedInstanceScaling": "managed_instance_scaling",
    "RoutingConfig": "routing",
    "CapacityReservationConfig": "capacity_reservation",
    "InferenceAmiVersion": "inference_ami_version",
    "EnableSSMAccess": "enable_ssm_access",
}

#: The structures of a ProductionVariant that have a spec object, by member.
MEMBER_STRUCTURES = {
    "ManagedInstanceScaling": "ProductionVariantManagedInstanceScaling",
    "RoutingConfig": "ProductionVariantRoutingConfig",
    "CapacityReservationConfig": "ProductionVariantCapacityReservationConfig",
}

#: Whole numbers of ProductionVariant, with minimum and maximum (botocore, ProductionVariant).
WHOLE_NUMBERS = {
    "InitialInstanceCount": (1, None),
    "VolumeSizeInGB": (1, 512),
    "ContainerStartupHealthCheckTimeoutInSeconds": (60, 3600),
    "ModelDataDownloadTimeoutInSeconds": (60, 3600),
    "VariantInstanceProvisionTimeoutInSeconds": (300, 3600),
}
MAX_INSTANCE_POOLS = 5  # ProductionVariant, InstancePools


def check_variant(where: str, variant: dict[str, Any]) -> None:
    """Check the literal values of a variant in the AWS shape, from a spec object or a plain dict.

    Strings with whole numbers count as numbers, as Jinja turns numbers into strings.

    :raises InvalidSpecError: When AWS would refuse it.
    """
    problems = Problems()
    if variant.get("AcceleratorType") is not None:
        with problems:
            raise InvalidSpecError(f"{where}.AcceleratorType: {ACCELERATORS_ARE_GONE}")
    with problems:
        check_name(f"{where}.VariantName", variant.get("VariantName"))
    if variant.get("ModelName") is not None:
        with problems:
            check_resource(f"{where}.ModelName", variant["ModelName"], MODEL)
    if variant.get("InstanceType") is not None:
        with problems:
            check_instance_type_form(f"{where}.InstanceType", variant["InstanceType"])
    for member, (low, high) in WHOLE_NUMBERS.items():
        if variant.get(member) is not None:
            with problems:
                check_integer(f"{where}.{member}", whole_number(variant[member]), low, high)
    weight = variant.get("InitialVariantWeight")
    if weight is not None and not is_rendered_later(weight):
        with problems:
            as_number(f"{where}.InitialVariantWeight", weight, low=0)
    with problems:
        check_structure(f"{where}.ServerlessConfig", variant.get("ServerlessConfig"))
        if isinstance(variant.get("ServerlessConfig"), dict):
            check_serverless(f"{where}.ServerlessConfig", variant["ServerlessConfig"])
    with problems:
        _check_instance_pools(f"{where}.InstancePools", variant.get("InstancePools"))
    for member, structure in MEMBER_STRUCTURES.items():
        with problems:
            check_described(f"{where}.{member}", variant.get(member), structure)
    with problems:
        check_variant_combinations(where, variant)
    problems.tell()


def check_serverless(where: str, config: dict[str, Any]) -> None:
    """Check a ``ServerlessConfig`` of the AWS shape as far as it is literal."""
    problems = Problems()
    memory, limit, provisioned = (
        whole_number(config.get(member))
        for member in ("MemorySizeInMB", "MaxConcurrency", "ProvisionedConcurrency")
    )
    with problems:
        check_one_of(f"{where}.MemorySizeInMB", memory, SERVERLESS_MEMORY_SIZES)
    with problems:
        check_integer(f"{where}.MaxConcurrency", limit, 1, 200)
    if provisioned is not None:
        most = limit if isinstance(limit, int) else 200
        with problems:
            check_integer(f"{where}.ProvisionedConcurrency (at most MaxConcurrency)", provisioned, 1, most)
    problems.tell()


def _check_instance_pools(where: str, pools: Any) -> None:
    if pools is None or is_rendered_later(pools):
        return
    if not isinstance(pools, list | tuple) or not 1 <= len(pools) <= MAX_INSTANCE_POOLS:
        found = (
            f"{type(pools).__name__} of {len(pools)}"
            if isinstance(pools, list | tuple)
            else type(pools).__name__
        )
        raise InvalidSpecError(
            f"{where} is a {found}; allowed: a list of 1 to {MAX_INSTANCE_POOLS} InstancePools."
        )
    for index, pool in enumerate(pools):
        check_described(f"{where}[{index}]", pool, "InstancePool")
    # Assumed: a pool of the same type again would add nothing.
    check_unique(
        f"{where}: InstanceType", [pool.get("InstanceType") for pool in pools if isinstance(pool, dict)]
    )
