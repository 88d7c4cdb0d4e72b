"""The CreateModel request: what its members must be to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rules import (
    check_environment,
    check_one_of,
    check_unique,
    is_rendered_later,
    present,
)

MAX_CONTAINERS = 15  # CreateModel, Containers
MAX_ENVIRONMENT_BYTES = 32 * 1024  # CreateModel documentation: all containers of a model together

#: Which operator makes what a ``from_asset`` stands for.
ASSET_OPERATORS = {"ImageAsset": "BuildImageOperator", "ModelDataAsset": "UploadModelDataOperator"}


def model_request(
    *,
    containers: Sequence[dict[str, Any]],
    execution_role_arn: str | None = None,
    subnets: Sequence[str] | None = None,
    security_group_ids: Sequence[str] | None = None,
    enable_network_isolation: bool | None = None,
    inference_execution_mode: str | None = None,
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
        VpcConfig=vpc,
        EnableNetworkIsolation=enable_network_isolation,
    )


def check_model(
    *,
    containers: Any,
    subnets: Any = None,
    security_group_ids: Any = None,
    inference_execution_mode: Any = None,
) -> None:
    """Check the parameters of a model as far as they are literal.

    :raises InvalidSpecError: When they can never work together.
    """
    if inference_execution_mode is not None:
        check_one_of("inference_execution_mode", inference_execution_mode, ("Serial", "Direct"))
    if not is_rendered_later(subnets) and not is_rendered_later(security_group_ids):
        if security_group_ids and not subnets:
            raise InvalidSpecError("security_group_ids is given without subnets; allowed: both, or neither.")
        if subnets and not security_group_ids:
            raise InvalidSpecError(
                "subnets is given without security_group_ids; allowed: both, or neither (VpcConfig of CreateModel)."
            )
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
    literal = [container for container in containers if isinstance(container, dict)]
    for index, container in enumerate(containers):
        if isinstance(container, dict):
            _check_container(f"containers[{index}]", container)
        elif not is_rendered_later(container):
            raise InvalidSpecError(
                f"containers[{index}] is a {type(container).__name__}; allowed: a ContainerDefinition or a dict in its shape."
            )
    if len(literal) == len(containers):
        _check_pipeline(literal, inference_execution_mode)


def _check_container(where: str, container: dict[str, Any]) -> None:
    for member in ("Image", "ModelDataUrl"):
        operator = ASSET_OPERATORS.get(kind_of(container.get(member)) or "")
        if operator:
            raise InvalidSpecError(
                f"{where}.{member} is a from_asset(…): CreateModelOperator builds and uploads nothing. Give it the output of a "
                f"{operator} instead, or use ModelHostingTaskGroup, which lays out that task by itself."
            )
    if not any(
        container.get(member) for member in ("Image", "ModelPackageName", "InferenceSpecificationName")
    ):
        raise InvalidSpecError(f"{where} has no Image; allowed: an image, or a ModelPackageName.")
    if container.get("ModelDataUrl") is not None and container.get("ModelDataSource") is not None:
        raise InvalidSpecError(f"{where} has both ModelDataUrl and ModelDataSource; allowed: one of them.")
    check_environment(f"{where}.Environment", container.get("Environment"))


def _check_pipeline(containers: list[dict[str, Any]], mode: Any) -> None:
    hostnames = [container.get("ContainerHostname") for container in containers]
    if len(containers) > 1 and any(hostnames) and not all(hostnames):
        without = [index for index, name in enumerate(hostnames) if not name]
        raise InvalidSpecError(
            f"containers: ContainerHostname is missing at {without}; allowed: on all containers of a pipeline, or on none."
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
            f"containers: the environments have {size} bytes together; allowed: {MAX_ENVIRONMENT_BYTES}."
        )
