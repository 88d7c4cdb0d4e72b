"""What is registered as a version of a model package group, and by what the same content is found again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_sm_hosting.spec.naming import content_digest
from airflow_sm_hosting.spec.reference import present
from airflow_sm_hosting.spec.tags import CONTENT_DIGEST

#: CreateModelPackage, ClientToken and MetadataPropertyValue (botocore).
TOKEN_LENGTH, LONGEST_PROPERTY = 36, 1024

#: The members of a request that are its content. Approval, metrics and metadata say something about it, and may differ the next time.
_CONTENT = ("InferenceSpecification", "AdditionalInferenceSpecifications")


def inference_specification(
    *,
    containers: Sequence[Mapping[str, Any]],
    content_types: Sequence[str] = (),
    response_types: Sequence[str] = (),
    instance_types: Sequence[str] = (),
    transform_instance_types: Sequence[str] = (),
) -> dict[str, Any]:
    """Return an ``InferenceSpecification``; a list that is empty is absent."""
    return present(
        Containers=[dict(container) for container in containers],
        SupportedContentTypes=list(content_types) or None,
        SupportedResponseMIMETypes=list(response_types) or None,
        SupportedRealtimeInferenceInstanceTypes=list(instance_types) or None,
        SupportedTransformInstanceTypes=list(transform_instance_types) or None,
    )


def fingerprint(request: Mapping[str, Any], resolved: Sequence[Mapping[str, Any]]) -> str:
    """Return the digest of what is registered.

    :param request: A validated CreateModelPackage request.
    :param resolved: The versions of the containers' model data that are not part of the request.
    """
    content = {member: request[member] for member in _CONTENT if member in request}
    return content_digest("CreateModelPackage", content, {"ModelData": list(resolved)})


def client_token(group: str, digest: str) -> str:
    """Return the ``ClientToken`` of a registration: a task that is killed after its call and tries again gets the same version.

    :param group: Name or ARN of the group.
    :param digest: Its :func:`fingerprint`.
    """
    return hashlib.sha256(f"{group.rpartition('/')[2]} {digest}".encode()).hexdigest()[:TOKEN_LENGTH]


def source_of(*, dag_id: str, run_id: str, task_id: str, url: str | None) -> str:
    """Return the text of ``MetadataProperties.GeneratedBy``; it is the same in each try of a task."""
    text = f"Airflow: DAG {dag_id}, run {run_id}, task {task_id}"
    # The page of the task; its query is the try.
    page = f", {url.partition('?')[0]}" if url else ""
    return f"{text}{page}"[:LONGEST_PROPERTY]


def with_same_containers(
    request: Mapping[str, Any], packages: Iterable[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the packages that may have this content, the newest first: their containers have the same images and model data.

    What BatchDescribeModelPackage returns has no metadata, and SageMaker adds digests to the specification; so it tells only which
    packages to describe.

    :param request: The CreateModelPackage request.
    :param packages: Packages as BatchDescribeModelPackage describes them.
    """
    wanted = _containers(request)
    found = [package for package in packages if _containers(package) == wanted]
    return sorted(found, key=lambda one: int(one.get("ModelPackageVersion") or 0), reverse=True)


def has_fingerprint(package: Mapping[str, Any], digest: str) -> bool:
    """Return whether a package, as DescribeModelPackage describes it, was registered with this content by this package."""
    properties = package.get("CustomerMetadataProperties") or {}
    return properties.get(CONTENT_DIGEST) == digest and package.get("ModelPackageStatus") != "Deleting"


def _containers(package: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    specification = package.get("InferenceSpecification") or {}
    return [
        (container.get("Image"), container.get("ModelDataUrl") or _prefix(container))
        for container in specification.get("Containers") or []
    ]


def _prefix(container: Mapping[str, Any]) -> Any:
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    return source.get("S3Uri")
