"""The OpenLineage datasets of what the tasks read and make: their names, the same in every task and in the assets.

Pure: OpenLineage is imported only where an event is made (``operators/lineage.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from airflow_sm_hosting.endpoint_asset import SCHEME


class LineageDataset(NamedTuple):
    """A dataset.

    :param namespace: Its namespace.
    :param name: Its name.
    :param version: Its version; None where the name has it.
    """

    namespace: str
    name: str
    version: str | None = None


def sagemaker_dataset(region: str, kind: str, name: str) -> LineageDataset:
    """Return the dataset of a resource of SageMaker: ``<kind>/<name>`` in ``sagemaker://<region>``.

    :param region: The AWS Region.
    :param kind: ``endpoint``, ``endpoint-config``, ``model`` or ``model-package``, as in ARNs.
    :param name: The name of the resource.
    """
    return LineageDataset(f"{SCHEME}://{region}", f"{kind}/{name}")


def model_data_dataset(uri: str) -> LineageDataset | None:
    """Return the dataset of an artifact: its key in ``s3://<bucket>``, or its path in ``file``; None for another place.

    :param uri: An ``s3://`` URI, or an absolute path in the worker's file system.
    """
    if uri.startswith("/"):
        return LineageDataset("file", uri)
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        return None
    return LineageDataset(f"s3://{bucket}", key.strip("/") or "/")


def image_dataset(uri: str) -> LineageDataset | None:
    """Return the dataset of an image: its repository in ``docker://<registry>``, with digest or tag as version; None without registry.

    :param uri: The image's URI.
    """
    registry, slash, path = uri.partition("/")
    if not slash or not {".", ":"} & set(registry):
        return None
    repository, _, digest = path.partition("@")
    repository, _, tag = repository.partition(":")
    return LineageDataset(f"docker://{registry}", repository, digest or tag or None)


def container_datasets(containers: Iterable[Mapping[str, Any]]) -> list[LineageDataset]:
    """Return the datasets that containers of the AWS shape name: images, artifacts, model packages.

    :param containers: The containers of a ``CreateModel`` request.
    """
    found: list[LineageDataset | None] = []
    for container in containers:
        source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        found += [
            image_dataset(container["Image"]) if container.get("Image") else None,
            *(
                model_data_dataset(uri)
                for uri in (container.get("ModelDataUrl"), source.get("S3Uri"))
                if uri is not None
            ),
            package_dataset(container["ModelPackageName"]) if container.get("ModelPackageName") else None,
        ]
    return [dataset for dataset in found if dataset is not None]


def package_dataset(arn: str) -> LineageDataset | None:
    """Return the dataset of a model package; None for what is no ARN of one.

    :param arn: Its ARN.
    """
    parts = arn.split(":", 5)
    if len(parts) < 6 or not parts[5].startswith("model-package/"):
        return None
    return sagemaker_dataset(parts[3], "model-package", parts[5].removeprefix("model-package/"))


def record_datasets(record: Mapping[str, Any]) -> tuple[list[LineageDataset], list[LineageDataset]]:
    """Return what a deployment has read, and what it has made: config, images and artifacts; the endpoint.

    Images and artifacts are known of what serves; they count only where that is what the deployment asked for.

    :param record: The record of the deployment.
    """
    is_component = record.get("kind") == "inference component"
    name = None if is_component else record.get("name")
    region, endpoint = record.get("region"), record.get("endpoint_name") or name
    if not region or not endpoint:
        return [], []
    config, wanted = record.get("endpoint_config_name"), record.get("requested_endpoint_config_name")
    inputs: list[LineageDataset | None] = []
    if (wanted or config) and not is_component:  # a specification of a component has no resource in AWS
        inputs.append(sagemaker_dataset(region, "endpoint-config", wanted or config or ""))
    if wanted in (None, config):
        for variant in record.get("variants") or ():
            inputs += [
                image_dataset(variant["image"]) if variant.get("image") else None,
                model_data_dataset(variant["artifact"]) if variant.get("artifact") else None,
            ]
    known = [one for one in dict.fromkeys(inputs) if one is not None]
    return known, [sagemaker_dataset(region, "endpoint", endpoint)]
