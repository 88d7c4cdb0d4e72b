"""The CreateModel request, and the rules between its members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_environment,
    check_ids,
    check_one_of,
    check_unique,
    is_rendered_later,
)
from airflow_sm_hosting.spec.container import check_container_members, check_model_data
from airflow_sm_hosting.spec.described_shape import check_described
from airflow_sm_hosting.spec.patterns import MAX_SECURITY_GROUPS, MAX_SUBNETS
from airflow_sm_hosting.spec.reference import kind_of, present

MAX_CONTAINERS = 15  # CreateModel, Containers
MAX_ENVIRONMENT_BYTES = 32 * 1024  # CreateModel documentation: all containers of a model together

#: The operator that makes the resource of a ``from_asset``.
ASSET_OPERATORS = {"ImageAsset": "BuildImageOperator", "ModelDataAsset": "UploadModelDataOperator"}


def model_request(
    *,
    containers: Sequence[dict[str, Any]],
    execution_role_arn: str | None = None,
    subnets: Sequence[str] | None = None,
    security_group_ids: Sequence[str] | None = None,
    enable_network_isolation: bool | None = None,
    inference_execution_mode: str | None = None,
    vpc_config: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the request without its name and tags: one container is the primary one, more are a pipeline."""
    containers = list(containers)
    vpc = {"Subnets": list(subnets), "SecurityGroupIds": list(security_group_ids or [])} if subnets else None
    mode = {"Mode": inference_execution_mode} if inference_execution_mode else None
    return present(
        PrimaryContainer=containers[0] if len(containers) == 1 else None,
        Containers=containers if len(containers) > 1 else None,
        InferenceExecutionConfig=mode,
        ExecutionRoleArn=execution_role_arn,
        VpcConfig=vpc_config or vpc,
        EnableNetworkIsolation=enable_network_isolation,
    )


def check_model(
    *,
    containers: Any,
    subnets: Any = None,
    security_group_ids: Any = None,
    inference_execution_mode: Any = None,
    vpc_config: Any = None,
) -> None:
    """Check the parameters of a model as far as they are literal.

    :raises InvalidSpecError: When they can never work together.
    """
    if inference_execution_mode is not None:
        check_one_of("inference_execution_mode", inference_execution_mode, ("Serial", "Direct"))
    if not is_rendered_later(subnets) and not is_rendered_later(security_group_ids):
        if security_group_ids is not None and not subnets:
            raise InvalidSpecError("security_group_ids is given without subnets; allowed: both, or neither.")
        if subnets and not security_group_ids:
            raise InvalidSpecError(
                "subnets is given without security_group_ids; allowed: both, or neither (VpcConfig of CreateModel)."
            )
    if vpc_config is not None and (subnets is not None or security_group_ids is not None):
        raise InvalidSpecError(
            "vpc_config is given with subnets or security_group_ids; allowed: vpc_config, or the two."
        )
    check_described("vpc_config", vpc_config, "VpcConfig")
    check_ids("subnets", subnets, MAX_SUBNETS)
    check_ids("security_group_ids", security_group_ids, MAX_SECURITY_GROUPS)
    if containers is None or is_rendered_later(containers):
        return
    if isinstance(containers, dict | str) or not isinstance(containers, list | tuple):
        raise InvalidSpecError(
            f"containers is a {type(containers).__name__}; allowed: a list of 1 to {MAX_CONTAINERS} ContainerDefinitions."
        )
    if not 1 <= len(containers) <= MAX_CONTAINERS:
        raise InvalidSpecError(
            f"containers has {len(containers)} entries; allowed: 1, or 2 to {MAX_CONTAINERS} for an inference pipeline."
        )
    problems = Problems()
    literal = [container for container in containers if isinstance(container, dict)]
    for index, container in enumerate(containers):
        with problems:
            if isinstance(container, dict):
                _check_container(f"containers[{index}]", container)
            elif not is_rendered_later(container):
                raise InvalidSpecError(
                    f"containers[{index}] is a {type(container).__name__}; allowed: a ContainerDefinition or a dict in its shape."
                )
    problems.tell()
    if len(literal) == len(containers):
        _check_pipeline(literal, inference_execution_mode)
    if vpc_config is None and subnets is None:
        for index, container in enumerate(literal):
            if _is_private(container.get("ImageConfig")):
                # https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html
                raise InvalidSpecError(
                    f"containers[{index}] has the RepositoryAccessMode 'Vpc', and the model has no VPC; allowed: with vpc_config, the VPC "
                    "of the registry."
                )


def _check_container(where: str, container: dict[str, Any]) -> None:
    for member in ("Image", "ModelDataUrl"):
        operator = ASSET_OPERATORS.get(kind_of(container.get(member)) or "")
        if operator:
            raise InvalidSpecError(
                f"{where}.{member} is a from_asset(…), but CreateModelOperator does not build or upload "
                f"assets. Give it the output of a {operator} instead, or use ModelHostingTaskGroup, which "
                "creates that task."
            )
    if not any(
        container.get(member) for member in ("Image", "ModelPackageName", "InferenceSpecificationName")
    ):
        raise InvalidSpecError(f"{where} has no Image; allowed: an image, or a ModelPackageName.")
    check_model_data(f"{where}.ModelDataUrl", container.get("ModelDataUrl"))
    check_container_members(where, container)
    check_environment(f"{where}.Environment", container.get("Environment"))


def _check_pipeline(containers: list[dict[str, Any]], mode: Any) -> None:
    hostnames = [container.get("ContainerHostname") for container in containers]
    if len(containers) > 1 and any(hostnames) and not all(hostnames):
        without = [index for index, name in enumerate(hostnames) if not name]
        raise InvalidSpecError(
            f"containers: ContainerHostname is missing on {without}; allowed: on all containers of a "
            "pipeline, or on none."
        )
    if mode == "Direct" and not all(hostnames):
        raise InvalidSpecError(
            "containers: inference_execution_mode 'Direct' needs a ContainerHostname on each."
        )
    check_unique("containers: ContainerHostname", hostnames)
    size = sum(
        len(str(key).encode()) + len(value.encode())
        for container in containers
        if isinstance(container.get("Environment"), dict)
        for key, value in container["Environment"].items()
        if isinstance(value, str)
    )
    if size > MAX_ENVIRONMENT_BYTES:
        raise InvalidSpecError(
            f"containers: the environments have {size} bytes in total; allowed: {MAX_ENVIRONMENT_BYTES}."
        )


def not_for_serverless(containers: Any, options: Mapping[str, Any]) -> list[str]:
    """Return the features of a model that serverless endpoints exclude, as text.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html, feature exclusions; for ``ModelDataSource``
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html

    :param containers: The containers.
    :param options: ``subnets``, ``vpc_config`` and ``enable_network_isolation`` of CreateModelOperator.
    """
    known = (
        [one for one in containers if isinstance(one, dict)] if isinstance(containers, list | tuple) else []
    )
    return [
        *(["more than one container"] if len(known) > 1 else []),
        *(["subnets (a VPC)"] if options.get("subnets") or options.get("vpc_config") else []),
        *(["network isolation"] if options.get("enable_network_isolation") is True else []),
        *(["Mode 'MultiModel'"] if any(one.get("Mode") == "MultiModel" for one in known) else []),
        *(
            ["ImageConfig (a private registry)"]
            if any(_is_private(one.get("ImageConfig")) for one in known)
            else []
        ),
        *(["uncompressed model data"] if any(_is_uncompressed(one) for one in known) else []),
    ]


def _is_private(image_config: Any) -> bool:
    return isinstance(image_config, dict) and image_config.get("RepositoryAccessMode") == "Vpc"


def _is_uncompressed(container: Mapping[str, Any]) -> bool:
    """Return whether a container's model data is sent as ``ModelDataSource``."""
    url = container.get("ModelDataUrl")
    is_prefix = kind_of(url) == "S3Prefix" or (isinstance(url, str) and url.endswith("/"))
    return container.get("ModelDataSource") is not None or (
        is_prefix and container.get("Mode") != "MultiModel"
    )
