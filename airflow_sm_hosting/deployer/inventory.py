"""Find the resources that no endpoint needs, and delete them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployer.adapters import StepRunner
from airflow_sm_hosting.deployer.references import CONTENT_KEY, ImageName
from airflow_sm_hosting.deployment.component import described_component, model_of_name
from airflow_sm_hosting.deployment.component_deletion import models_of
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags
from airflow_sm_hosting.deployment.reachability import (
    UPLOAD_ID,
    Config,
    Endpoint,
    Model,
    ServingComponent,
    Stored,
    Unneeded,
    deleting_steps,
    unneeded,
)
from airflow_sm_hosting.spec.arn import is_arn
from airflow_sm_hosting.spec.checks import invalid
from airflow_sm_hosting.spec.s3_location import S3Location, s3_url
from airflow_sm_hosting.spec.tags import is_ours

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters
    from airflow_sm_hosting.hooks.s3 import ModelDataHook

log = logging.getLogger(__name__)

#: What stands before the name of a model package among the names that a model uses.
_PACKAGE = "model-package "

#: The tags that BuildImageOperator sets.
FINGERPRINT_TAG = re.compile(r"sm-hosting-[0-9a-f]{32}(?:-docker)?")


class HostingInventory:
    """The hosting resources of one connection and Region.

    :param aws: Makes the hooks.
    """

    def __init__(self, aws: AwsParameters) -> None:
        self._aws = aws
        self._hook = aws.sagemaker_hook

    def unneeded(
        self,
        *,
        keep: int,
        before: datetime,
        repository_names: Iterable[str] = (),
        model_data_prefixes: Iterable[str] = (),
    ) -> Unneeded:
        """Return our resources that no endpoint needs.

        Uses ``sagemaker:ListEndpoints``, ``DescribeEndpoint``, ``ListTags``, ``ListEndpointConfigs``, ``DescribeEndpointConfig``,
        ``ListModels``, ``DescribeModel``, ``ListInferenceComponents``, ``DescribeInferenceComponent``; ``ecr:DescribeImages``; ``s3:ListBucket``
        and ``s3:GetObject``; if there are images or artifacts to delete, ``sagemaker:ListModelPackages`` and ``DescribeModelPackage``.

        :param keep: How many configs each endpoint keeps for a rollback.
        :param before: Newer resources stay.
        :param repository_names: Repositories to search for our images.
        :param model_data_prefixes: ``s3://bucket/prefix`` to search for our artifacts.
        """
        # Endpoints last: a resource that is deployed meanwhile is already in the lists, and so counts as needed.
        configs = {config.name: config for config in self._configs()}
        models = {model.name: model for model in self._models()}
        endpoints = list(self._endpoints())
        components = list(self._components())
        # Tags cost one call a resource, so read only those of resources that may be deleted.
        suspects = unneeded(
            endpoints=endpoints,
            configs=configs.values(),
            models=models.values(),
            ours=[*(f"config/{name}" for name in configs), *(f"model/{name}" for name in models)],
            keep=keep,
            before=before,
            components=components,
        )
        ours = [
            *(f"config/{name}" for name in suspects.configs if self._is_ours("endpoint-config", name)),
            *(f"model/{name}" for name in suspects.models if self._is_ours("model", name)),
        ]
        everything: dict[str, Any] = {
            "endpoints": endpoints,
            "configs": configs.values(),
            "models": models.values(),
            "images": list(self._images(repository_names)),
            "artifacts": list(self._artifacts(model_data_prefixes)),
            "uploads": list(self._uploads(model_data_prefixes)),
            "ours": ours,
            "keep": keep,
            "before": before,
            "components": components,
        }
        found = unneeded(**everything)
        if not found.images and not found.artifacts:
            return found
        packages = self._packages()
        missing = sorted(
            f"{model.name} ({name})"
            for model in models.values()
            if model.name not in found.models
            for name in _packages_of(model)
            if name not in packages and not self._is_of_another_account(name)
        )
        if missing:
            # DescribeModel repeats the package's name, and not its images and model data (assumed).
            log.warning(
                "No images and artifacts are deleted, as it is not known which ones these models of deleted model packages use: %s",
                ", ".join(missing),
            )
            return replace(found, images=[], artifacts=[])
        return unneeded(**everything, used_by_packages=frozenset[str]().union(*packages.values()))

    def delete(self, found: Unneeded) -> None:
        """Delete unneeded resources; a run that was killed half-way can be repeated."""
        runner = StepRunner(self._aws)
        for step in runner.validated(tuple(deleting_steps(found))):
            runner.apply(step)

    # SageMaker

    def _endpoints(self) -> Iterator[Endpoint]:
        for row in self._rows("list_endpoints", "Endpoints"):
            described = self._hook.describe_endpoint(row["EndpointName"])
            if described is None:
                continue
            marks = EndpointTags.read(self._hook.tags(described["EndpointArn"]))
            pending = (described.get("PendingDeploymentSummary") or {}).get("EndpointConfigName")
            before = (*marks.rollout_alarms, *marks.history)
            yield Endpoint(
                row["EndpointName"],
                described.get("EndpointConfigName"),
                pending,
                before,
            )

    def _components(self) -> Iterator[ServingComponent]:
        for row in self._hook.inference_components():
            answer = self._hook.describe_inference_component(row["InferenceComponentName"])
            if answer is None:
                continue
            described = described_component(answer)
            history = EndpointTags.read(self._hook.tags(described["EndpointArn"])).history
            containers = [one.get("Container") or {} for one in described["Specifications"]]
            yield ServingComponent(
                frozenset(models_of([described])),
                tuple(map(model_of_name, history)),
                frozenset(
                    name
                    for container in containers
                    for name in _used_by({**container, "ModelDataUrl": container.get("ArtifactUrl")})
                ),
            )

    def _configs(self) -> Iterator[Config]:
        for row in self._rows("list_endpoint_configs", "EndpointConfigs"):
            models = self._hook.models_of_config(row["EndpointConfigName"])
            yield Config(row["EndpointConfigName"], frozenset(models), row["CreationTime"])

    def _models(self) -> Iterator[Model]:
        for row in self._rows("list_models", "Models"):
            described: Mapping[str, Any] = self._hook.describe_model(row["ModelName"]) or {}
            containers = [described.get("PrimaryContainer") or {}, *(described.get("Containers") or [])]
            names = {name for container in containers for name in _used_by(container)}
            yield Model(row["ModelName"], frozenset(names), row["CreationTime"])

    def _packages(self) -> dict[str, frozenset[str]]:
        """Return the names of the images and artifacts of each model package, by its ARN and by its name."""
        registry = self._aws.model_registry_hook
        found: dict[str, frozenset[str]] = {}
        for arn in registry.all_packages():
            package = registry.describe_package(arn)
            if package is None:
                continue
            specifications = [
                package.get("InferenceSpecification") or {},
                *(package.get("AdditionalInferenceSpecifications") or []),
            ]
            containers = [one for each in specifications for one in each.get("Containers") or []]
            names = frozenset(name for container in containers for name in _used_by(container))
            found[arn] = found[arn.partition(":model-package/")[2]] = names
        return found

    def _is_of_another_account(self, name: str) -> bool:
        return is_arn(name) and name.split(":")[4] != self._hook.account_id

    def _is_ours(self, kind: str, name: str) -> bool:
        describe = self._hook.describe_model if kind == "model" else self._hook.describe_endpoint_config
        described: Mapping[str, Any] | None = describe(name)
        if described is None:
            return False
        arn = described["ModelArn" if kind == "model" else "EndpointConfigArn"]
        return is_ours(self._hook.tags(arn))

    def _rows(self, operation: str, member: str) -> Iterator[Mapping[str, Any]]:
        # The operation's name is known only at run time, and the types depend on it.
        client: Any = self._hook.conn
        for page in client.get_paginator(operation).paginate():
            yield from page[member]

    # Images and artifacts

    def _images(self, repository_names: Iterable[str]) -> Iterator[Stored]:
        ecr = self._aws.ecr_hook().conn
        for repository in repository_names:
            for page in ecr.get_paginator("describe_images").paginate(repositoryName=repository):
                for image in page["imageDetails"]:
                    tags = image.get("imageTags") or []
                    names = {f"{repository}@{image['imageDigest']}", *(f"{repository}:{tag}" for tag in tags)}
                    for tag in tags:
                        if FINGERPRINT_TAG.fullmatch(tag):
                            yield Stored(f"{repository}:{tag}", frozenset(names), image["imagePushedAt"])

    def _artifacts(self, prefixes: Iterable[str]) -> Iterator[Stored]:
        s3 = self._aws.model_data_hook
        for uri in prefixes:
            location = S3Location.parse(uri)
            if location is None:
                raise invalid("model_data_prefixes", uri, "s3://bucket/prefix")
            bucket, prefix = location
            for found in s3.objects(bucket, prefix):
                if self._is_our_artifact(s3, bucket, found["Key"]):
                    name = S3Location(bucket, found["Key"]).url
                    yield Stored(name, frozenset([name]), found["LastModified"])

    def _uploads(self, prefixes: Iterable[str]) -> Iterator[Stored]:
        """Yield the unfinished uploads of artifacts: S3 bills the parts that a killed task has left."""
        for uri in prefixes:
            bucket, prefix = S3Location.parse(uri) or S3Location("", "")
            for page in self._aws.model_data_hook.conn.get_paginator("list_multipart_uploads").paginate(
                Bucket=bucket, Prefix=prefix
            ):
                for upload in page.get("Uploads", []):
                    if CONTENT_KEY.search(upload["Key"]):
                        name = f"{S3Location(bucket, upload['Key']).url}{UPLOAD_ID}{upload['UploadId']}"
                        yield Stored(name, frozenset([name]), upload["Initiated"])

    @staticmethod
    def _is_our_artifact(s3: ModelDataHook, bucket: str, key: str) -> bool:
        """Return whether UploadModelDataOperator made the object: its key and its metadata both contain the digest of its content."""
        if not CONTENT_KEY.search(key):
            return False
        head = s3.head(bucket, key)
        return head is not None and bool(key.endswith(f"{head['Metadata'].get('sha256')}.tar.gz"))


def _packages_of(model: Model) -> Iterator[str]:
    """Yield the names or ARNs of the model packages that a model was made of."""
    return (name.removeprefix(_PACKAGE) for name in model.uses if name.startswith(_PACKAGE))


def _used_by(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of a container's image and model data: the image without the registry's host, the data as ``s3://…``."""
    if container.get("ModelPackageName"):
        yield f"{_PACKAGE}{container['ModelPackageName']}"
    if container.get("Image"):
        image = ImageName.parse(container["Image"])
        yield (
            f"{image.repository}@{image.digest}"
            if image.digest
            else f"{image.repository}:{image.tag or 'latest'}"
        )
    sources = [container.get("ModelDataSource"), *(container.get("AdditionalModelDataSources") or [])]
    urls = [((source or {}).get("S3DataSource") or {}).get("S3Uri") for source in sources]
    for url in (container.get("ModelDataUrl"), *urls):
        if url:
            yield s3_url(url)
