"""Inference components: what a component runs, what its copies need, and the rules between both."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.arn import MODEL, check_resource, resource_name
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_boolean,
    check_environment,
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
from airflow_sm_hosting.spec.members import check_member_names, check_members
from airflow_sm_hosting.spec.model import ASSET_OPERATORS
from airflow_sm_hosting.spec.reference import kind_of, present
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

# All limits: botocore, InferenceComponentSpecification and the structures in it.
MIN_MEMORY_IN_MB = 128
MIN_CPU_CORES = 0.25
MIN_ACCELERATORS = 1
MAX_SPECIFICATIONS = 5  # InferenceComponentSpecificationList
PLACEMENTS = ("SPREAD", "BINPACK")  # InferenceComponentPlacementStrategy
PARTITION_PATTERN = r"mig-[0-9]+g\.[0-9]+gb([+-][a-z0-9.]+)*"  # AcceleratorPartitionType
ARTIFACT_PATTERN = r"(https|s3)://([^/]+)/?(.*)"  # Url

#: Members of InferenceComponentSpecification that an adapter takes from its base: "Omit this parameter if your request is meant to create
#: an adapter inference component" says API_InferenceComponentSpecification of the requirements; of the others it is assumed.
NOT_FOR_ADAPTERS = (
    "ComputeResourceRequirements",
    "ModelName",
    "StartupParameters",
    "DataCacheConfig",
    "SchedulingConfig",
)

#: References that stand for a container's image and its artifact, and how they are called.
_REFERENCES = {
    "Image": ("ImageAsset", "EcrImage", "DlcImage"),
    "ArtifactUrl": ("ModelDataAsset", "S3Object"),
}
_WORDS = {"Image": "a ContainerImage", "ArtifactUrl": "ModelData.from_bucket(…)"}

#: Members of ComputeResourceRequirements that have a parameter of ComputeRequirements.
REQUIREMENT_PARAMETERS = {
    "MinMemoryRequiredInMb": "min_memory_in_mb",
    "MaxMemoryRequiredInMb": "max_memory_in_mb",
    "NumberOfCpuCoresRequired": "cpu_cores",
    "NumberOfAcceleratorDevicesRequired": "accelerators",
    "AcceleratorPartitionType": "accelerator_partition_type",
}

#: Members of InferenceComponentSpecification that have a parameter.
SPECIFICATION_PARAMETERS = {
    "ModelName": "model_name",
    "Container": "image, artifact_url and environment",
    "ComputeResourceRequirements": "requirements",
    "StartupParameters": "container_startup_health_check_timeout and model_data_download_timeout",
    "BaseInferenceComponentName": "base_inference_component_name",
    "InstanceType": "instance_type",
    "DataCacheConfig": "enable_caching",
    "SchedulingConfig": "placement_strategy",
}


class ComputeRequirements(dict[str, Any]):
    """What each copy of an inference component reserves on its instance, in the shape of ``ComputeResourceRequirements``.

    AWS places copies by these numbers; they do not limit the container. Much less memory than an instance has can be reserved.

    :param min_memory_in_mb: Memory in MB, 128 or more. (templated)
    :param max_memory_in_mb: Most memory in MB, ``min_memory_in_mb`` or more (default: no maximum). (templated)
    :param cpu_cores: CPU cores, 0.25 or more (default: none reserved). (templated)
    :param accelerators: Accelerators (GPU, Inferentia, Trainium), 1 or more (default: none). (templated)
    :param accelerator_partition_type: Partition of an accelerator, such as ``mig-1g.10gb``; it cannot be changed later (default: whole
        accelerators). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceComponentComputeResourceRequirements.html
    """

    def __init__(
        self,
        *,
        min_memory_in_mb: TemplatedInt,
        max_memory_in_mb: TemplatedInt | None = None,
        cpu_cores: TemplatedFloat | None = None,
        accelerators: TemplatedFloat | None = None,
        accelerator_partition_type: TemplatedStr | None = None,
    ) -> None:
        where, problems = type(self).__name__, Problems()
        with problems:
            check_integer(f"{where}: min_memory_in_mb", min_memory_in_mb, MIN_MEMORY_IN_MB)
        if max_memory_in_mb is not None:
            least = min_memory_in_mb if isinstance(min_memory_in_mb, int) else MIN_MEMORY_IN_MB
            with problems:
                check_integer(
                    f"{where}: max_memory_in_mb (at least min_memory_in_mb)", max_memory_in_mb, least
                )
        if cpu_cores is not None:
            with problems:
                check_number(f"{where}: cpu_cores", cpu_cores, low=MIN_CPU_CORES)
        if accelerators is not None:
            with problems:
                check_number(f"{where}: accelerators", accelerators, low=MIN_ACCELERATORS)
        if accelerator_partition_type is not None:
            with problems:
                _check_partition(f"{where}: accelerator_partition_type", accelerator_partition_type)
        problems.tell()
        super().__init__(
            present(
                MinMemoryRequiredInMb=min_memory_in_mb,
                MaxMemoryRequiredInMb=max_memory_in_mb,
                NumberOfCpuCoresRequired=cpu_cores,
                NumberOfAcceleratorDevicesRequired=accelerators,
                AcceleratorPartitionType=accelerator_partition_type,
            )
        )


class InferenceComponentSpecification(dict[str, Any]):
    """What an inference component runs, in the shape of AWS's ``InferenceComponentSpecification``.

    Either a model, or a container, or an adapter: a base component and the adapter's artifact.

    :param model_name: The model: a name, an ARN of the endpoint's own account and Region, or the output of a ``CreateModelOperator``
        (default: none). (templated)
    :param requirements: :class:`ComputeRequirements` of each copy; required but for adapters. (templated)
    :param image: Image of the container, in place of a model: a string, the output of a ``BuildImageOperator``, or a
        :class:`ContainerImage`; a tag is replaced by its digest (default: none). (templated)
    :param artifact_url: The model data, one ``.tar.gz``, for ``image`` or an adapter: an ``s3://`` URL, the output of an
        ``UploadModelDataOperator``, or a :class:`ModelData`. It should be named by its content, as what uploads name it: an artifact that is
        overwritten is not noticed (default: none). (templated)
    :param environment: Environment of the container, for ``image`` (default: none). (templated)
    :param base_inference_component_name: The component whose containers load this adapter (default: it is no adapter). (templated)
    :param instance_type: The instance type for which this specification is; required in ``specifications=[…]`` (default: all). (templated)
    :param container_startup_health_check_timeout: Seconds (60 to 3600) or a timedelta that a copy has to answer its first ping
        (default: AWS's). (templated)
    :param model_data_download_timeout: Seconds (60 to 3600) or a timedelta for the download of the model data (default: AWS's). (templated)
    :param enable_caching: Whether instances keep image and model data, so that further copies start sooner (default: AWS's). (templated)
    :param placement_strategy: ``"SPREAD"`` or ``"BINPACK"`` (default: AWS's). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceComponentSpecification.html
    """

    def __init__(
        self,
        *,
        model_name: TemplatedStr | None = None,
        requirements: TemplatedDict | None = None,
        image: TemplatedStr | Mapping[str, Any] | None = None,
        artifact_url: TemplatedStr | Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | RenderedLater | None = None,
        base_inference_component_name: TemplatedStr | None = None,
        instance_type: TemplatedStr | None = None,
        container_startup_health_check_timeout: TemplatedSeconds | None = None,
        model_data_download_timeout: TemplatedSeconds | None = None,
        enable_caching: TemplatedBool | None = None,
        placement_strategy: TemplatedStr | None = None,
        **members: Any,
    ) -> None:
        where, problems = type(self).__name__, Problems()
        if members:
            with problems:
                check_member_names(where, members, SPECIFICATION_PARAMETERS)
                check_members(where, members, type(self).__name__, SPECIFICATION_PARAMETERS)
        timeouts = {
            "container_startup_health_check_timeout": container_startup_health_check_timeout,
            "model_data_download_timeout": model_data_download_timeout,
        }
        for parameter, value in timeouts.items():
            if value is not None:
                with problems:
                    check_seconds(f"{where}: {parameter}", value, 60, 3600)
        if instance_type is not None:
            with problems:
                check_instance_type(f"{where}: instance_type", instance_type)
        problems.tell()
        container = present(Image=image, ArtifactUrl=artifact_url, Environment=environment)
        startup = present(
            ModelDataDownloadTimeoutInSeconds=seconds(model_data_download_timeout),
            ContainerStartupHealthCheckTimeoutInSeconds=seconds(container_startup_health_check_timeout),
        )
        specification = present(
            InstanceType=instance_type,
            ModelName=model_name,
            Container=container or None,
            StartupParameters=startup or None,
            ComputeResourceRequirements=requirements,
            BaseInferenceComponentName=base_inference_component_name,
            DataCacheConfig=None if enable_caching is None else {"EnableCaching": enable_caching},
            SchedulingConfig=None
            if placement_strategy is None
            else {"PlacementStrategy": placement_strategy},
        )
        specification |= members
        check_specification(where, specification, assets=True)
        super().__init__(specification)


def check_specification(where: str, specification: Mapping[str, Any], *, assets: bool = False) -> None:
    """Check the literal values of a specification in the AWS shape, from a spec object or a plain dict.

    :param where: The field, for messages.
    :param specification: The specification.
    :param assets: Whether an image or an artifact may be a ``from_asset``, which a task group makes.
    :raises InvalidSpecError: When AWS would refuse it.
    """
    problems = Problems()
    with problems:
        _check_kind(where, specification)
    if specification.get("ModelName") is not None:
        with problems:
            check_resource(f"{where}.ModelName", specification["ModelName"], MODEL)
    if specification.get("BaseInferenceComponentName") is not None:
        with problems:
            check_name(f"{where}.BaseInferenceComponentName", specification["BaseInferenceComponentName"])
    if specification.get("InstanceType") is not None:
        with problems:
            check_instance_type_form(f"{where}.InstanceType", specification["InstanceType"])
    with problems:
        _check_container(f"{where}.Container", specification.get("Container"), assets=assets)
    with problems:
        _check_requirements(
            f"{where}.ComputeResourceRequirements", specification.get("ComputeResourceRequirements")
        )
    startup = specification.get("StartupParameters")
    with problems:
        check_structure(f"{where}.StartupParameters", startup)
    for member, value in startup.items() if isinstance(startup, dict) else ():
        if member in ("ModelDataDownloadTimeoutInSeconds", "ContainerStartupHealthCheckTimeoutInSeconds"):
            with problems:
                check_integer(f"{where}.StartupParameters.{member}", whole_number(value), 60, 3600)
    caching = specification.get("DataCacheConfig")
    with problems:
        check_structure(f"{where}.DataCacheConfig", caching)
        if isinstance(caching, dict) and not isinstance(caching.get("EnableCaching"), str):
            check_boolean(f"{where}.DataCacheConfig.EnableCaching", caching.get("EnableCaching"))
    scheduling = specification.get("SchedulingConfig")
    with problems:
        check_structure(f"{where}.SchedulingConfig", scheduling)
        if isinstance(scheduling, dict):
            placement = scheduling.get("PlacementStrategy")
            check_one_of(f"{where}.SchedulingConfig.PlacementStrategy", placement, PLACEMENTS)
    problems.tell()


def check_specification_list(where: str, specifications: Any) -> None:
    """Check a list of specifications, one for each instance type.

    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceComponentSpecification.html: InstanceType is "Required when using …
    multiple entries".
    """
    if is_rendered_later(specifications):
        return
    if isinstance(specifications, dict | str) or not isinstance(specifications, list | tuple):
        raise InvalidSpecError(f"{where} is a {type(specifications).__name__}; allowed: a list.")
    if not 1 <= len(specifications) <= MAX_SPECIFICATIONS:
        raise InvalidSpecError(
            f"{where} has {len(specifications)} entries; allowed: 1 to {MAX_SPECIFICATIONS}."
        )
    problems = Problems()
    for index, one in enumerate(specifications):
        if is_rendered_later(one):
            continue
        with problems:
            if not isinstance(one, dict):
                raise InvalidSpecError(
                    f"{where}[{index}] is a {type(one).__name__}; allowed: a dict in the AWS shape."
                )
            check_specification(f"{where}[{index}]", one)
            if is_adapter(one):
                raise InvalidSpecError(
                    f"{where}[{index}] is an adapter; allowed: adapters only in specification=…."
                )
    known = [one for one in specifications if isinstance(one, dict)]
    with problems:
        if len(specifications) > 1 and any(one.get("InstanceType") is None for one in known):
            raise InvalidSpecError(
                f"{where} has {len(specifications)} entries, and one without InstanceType; allowed: a "
                "different instance_type in each."
            )
        check_unique(f"{where}: InstanceType", [one.get("InstanceType") for one in known])
    problems.tell()


def is_adapter(specification: Mapping[str, Any]) -> bool:
    """Return whether a specification is that of an adapter."""
    return specification.get("BaseInferenceComponentName") is not None


def rendered_specification(where: str, specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rendered specification with a model ARN replaced by the name, as the API takes only names.

    :raises InvalidSpecError: When AWS would refuse it.
    """
    check_specification(where, specification)
    made = dict(specification)
    if made.get("ModelName") is not None:
        made["ModelName"] = resource_name(f"{where}.ModelName", made["ModelName"], MODEL)
    return made


def _check_kind(where: str, specification: Mapping[str, Any]) -> None:
    """Check that a specification is a model's, a container's, or an adapter's."""
    container = specification.get("Container")
    inside = container if isinstance(container, dict) else {}
    if is_adapter(specification):
        # https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-adapt.html
        both = [member for member in NOT_FOR_ADAPTERS if specification.get(member) is not None]
        both += [
            f"Container.{member}" for member in ("Image", "Environment") if inside.get(member) is not None
        ]
        if both:
            raise InvalidSpecError(
                f"{where} has BaseInferenceComponentName and {', '.join(both)}; allowed: an adapter has only its base and artifact_url."
            )
        if container is None or (isinstance(container, dict) and inside.get("ArtifactUrl") is None):
            raise InvalidSpecError(f"{where} is an adapter without artifact_url; allowed: an 's3://' URL.")
        return
    # An InferenceComponentSpecification has a model or a container; that both together are refused is assumed.
    if (specification.get("ModelName") is None) == (container is None):
        found = "neither model_name nor image" if container is None else "both model_name and a container"
        raise InvalidSpecError(
            f"{where} has {found}; allowed: one of model_name and image, or base_inference_component_name with artifact_url."
        )
    if isinstance(container, dict) and inside.get("Image") is None:
        raise InvalidSpecError(f"{where} has a container without image; allowed: with image=….")
    if specification.get("ComputeResourceRequirements") is None:
        raise InvalidSpecError(f"{where} has no requirements; allowed: ComputeRequirements(…).")


def _check_container(where: str, container: Any, *, assets: bool) -> None:
    check_structure(where, container)
    if not isinstance(container, dict):
        return
    check_environment(f"{where}.Environment", container.get("Environment"))
    image, url = container.get("Image"), container.get("ArtifactUrl")
    for member, value in (("Image", image), ("ArtifactUrl", url)):
        kind = kind_of(value)
        if kind in ASSET_OPERATORS and not assets:
            raise InvalidSpecError(
                f"{where}.{member} is a from_asset(…); allowed: the output of a {ASSET_OPERATORS[kind]}, or ModelHostingTaskGroup, which "
                "creates that task."
            )
        if kind is not None and kind not in _REFERENCES[member]:
            raise InvalidSpecError(
                f"{where}.{member} is a reference ({kind}); allowed: {_WORDS[member]}, a string, or the output of a task."
            )
    if isinstance(url, str):
        check_text(
            f"{where}.ArtifactUrl",
            url,
            pattern=ARTIFACT_PATTERN,
            max_length=1024,
            allowed="an 's3://' URL of one .tar.gz",
        )


def _check_requirements(where: str, requirements: Any) -> None:
    check_structure(where, requirements)
    if not isinstance(requirements, dict):
        return
    least = whole_number(requirements.get("MinMemoryRequiredInMb"))
    check_integer(f"{where}.MinMemoryRequiredInMb", least, MIN_MEMORY_IN_MB)
    most = whole_number(requirements.get("MaxMemoryRequiredInMb"))
    if most is not None:
        low = least if isinstance(least, int) else MIN_MEMORY_IN_MB
        check_integer(f"{where}.MaxMemoryRequiredInMb (at least MinMemoryRequiredInMb)", most, low)
    for member, low_number in (
        ("NumberOfCpuCoresRequired", MIN_CPU_CORES),
        ("NumberOfAcceleratorDevicesRequired", MIN_ACCELERATORS),
    ):
        value = requirements.get(member)
        if value is not None and not is_rendered_later(value):
            as_number(f"{where}.{member}", value, low=low_number)
    if requirements.get("AcceleratorPartitionType") is not None:
        _check_partition(f"{where}.AcceleratorPartitionType", requirements["AcceleratorPartitionType"])


def _check_partition(where: str, value: Any) -> None:
    check_text(
        where,
        value,
        pattern=PARTITION_PATTERN,
        max_length=32,
        allowed="a partition such as 'mig-1g.10gb'",
    )


def component_deployment_config(where: str, rollout: Mapping[str, Any]) -> dict[str, Any]:
    """Return a completed :class:`~airflow_sm_hosting.Rolling` in the shape of ``InferenceComponentDeploymentConfig``: numbers are copies.

    :param where: The parameter.
    :param rollout: The rollout.
    :raises InvalidSpecError: For a rollout that components do not have.
    """
    policy = rollout.get("RollingUpdatePolicy")
    if not isinstance(policy, dict):
        # InferenceComponentDeploymentConfig requires RollingUpdatePolicy: there is no canary or linear type.
        raise invalid(where, dict(rollout), "Rolling, the only rollout of inference components")
    policy = dict(policy)
    for member in ("MaximumBatchSize", "RollbackMaximumBatchSize"):
        size = policy.get(member)
        if isinstance(size, dict) and size.get("Type") == "INSTANCE_COUNT":
            policy[member] = {**size, "Type": "COPY_COUNT"}
    return {**rollout, "RollingUpdatePolicy": policy}
