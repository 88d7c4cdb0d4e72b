"""Find the configs, models, images and artifacts that no endpoint needs.

Everything reachable from an endpoint or an inference component stays: the serving config, a pending config, and possible rollback targets;
their models; the images and artifacts of every kept model, also of models that others made, and those that a component names itself; and
those of all model packages, which may be deployed later. AWS does not refuse to delete any of them, but reads them again when it patches or
scales the endpoint (DeleteEndpointConfig; developer guide, "realtime-endpoints-delete-resources").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from airflow_sm_hosting.deployment.steps import (
    AbortMultipartUpload,
    BatchDeleteImage,
    Call,
    DeleteEndpointConfig,
    DeleteModel,
    DeleteObject,
)

#: BatchDeleteImage accepts at most 100 images.
_IMAGES_A_CALL = 100


@dataclass(frozen=True)
class Endpoint:
    """An endpoint and its configs: the serving one, the pending one, and earlier ones, newest first."""

    name: str
    serving: str | None
    pending: str | None = None
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Config:
    """An endpoint config, and the models of its variants."""

    name: str
    models: frozenset[str]
    created: datetime


@dataclass(frozen=True)
class Model:
    """A model, and the names of the images and artifacts of its containers; a name ending in a slash covers everything below it."""

    name: str
    uses: frozenset[str]
    created: datetime


@dataclass(frozen=True)
class ServingComponent:
    """An inference component: its models, also those that it served before, newest first, and what its containers use.

    :param models: The models that it serves.
    :param before: The models that it served before.
    :param uses: The names of images and artifacts, as for a model.
    """

    models: frozenset[str]
    before: tuple[str, ...] = ()
    uses: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Stored:
    """An image or an artifact.

    :param uri: ``repository:tag`` of an image, ``s3://bucket/key`` of an artifact.
    :param names: The names that models may use for it.
    :param created: When it was stored.
    """

    uri: str
    names: frozenset[str]
    created: datetime


#: Between the address of an object and the id of its upload.
UPLOAD_ID = "?uploadId="


@dataclass(frozen=True)
class Unneeded:
    """The resources that may be deleted, sorted by name."""

    configs: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    #: Unfinished uploads of artifacts, as ``s3://<bucket>/<key>?uploadId=<id>``.
    uploads: list[str] = field(default_factory=list)


def unneeded(
    *,
    endpoints: Iterable[Endpoint],
    configs: Collection[Config],
    models: Collection[Model],
    images: Iterable[Stored] = (),
    artifacts: Iterable[Stored] = (),
    uploads: Iterable[Stored] = (),
    ours: Collection[str],
    keep: int,
    before: datetime,
    components: Collection[ServingComponent] = (),
    used_by_packages: Collection[str] = (),
) -> Unneeded:
    """Return the resources that no endpoint and no inference component needs.

    :param endpoints: All endpoints of the account and Region.
    :param configs: All endpoint configs.
    :param models: All models.
    :param images: Images of ours.
    :param artifacts: Artifacts of ours.
    :param uploads: Unfinished uploads of artifacts of ours.
    :param ours: Names of the configs and models with our tags, ``config/<name>`` and ``model/<name>``.
    :param keep: How many configs each endpoint, and how many models each component, keeps for a rollback.
    :param before: Resources newer than this stay: a deployment in progress may need them.
    :param components: All inference components.
    :param used_by_packages: The names of the images and artifacts of all model packages.
    """
    # SageMaker finds a config and a model by a name in any case.
    needed = {
        name.lower()
        for endpoint in endpoints
        for name in (endpoint.serving, endpoint.pending, *endpoint.before[:keep])
        if name
    }

    def may_go(kind: str, resource: Config | Model) -> bool:
        return f"{kind}/{resource.name}" in ours and resource.created < before

    gone_configs = {
        config.name for config in configs if config.name.lower() not in needed and may_go("config", config)
    }
    needed_models = {
        model.lower() for config in configs if config.name not in gone_configs for model in config.models
    }
    needed_models |= {model.lower() for one in components for model in (*one.models, *one.before[:keep])}
    gone_models = {
        model.name for model in models if model.name.lower() not in needed_models and may_go("model", model)
    }
    used = {name for model in models if model.name not in gone_models for name in model.uses}
    used |= {name for one in components for name in one.uses}
    used |= set(used_by_packages)
    folders = tuple(name for name in used if name.endswith("/"))

    def unused(stored: Iterable[Stored]) -> list[str]:
        return sorted(
            item.uri
            for item in stored
            if not item.names & used and not item.uri.startswith(folders) and item.created < before
        )

    return Unneeded(
        sorted(gone_configs), sorted(gone_models), unused(images), unused(artifacts), unused(uploads)
    )


def deleting_steps(found: Unneeded) -> list[Call]:
    """Return the steps that delete unneeded resources. Configs are deleted first, so that they cannot be deployed any more.

    :param found: The resources that may be deleted.
    """
    steps: list[Call] = [
        DeleteEndpointConfig({"EndpointConfigName": config}, f"endpoint config {config}")
        for config in found.configs
    ]
    steps += [DeleteModel({"ModelName": model}, f"model {model}") for model in found.models]
    by_repository: dict[str, list[str]] = {}
    for image in found.images:
        repository, _, tag = image.rpartition(":")
        by_repository.setdefault(repository, []).append(tag)
    for repository, tags in by_repository.items():
        for start in range(0, len(tags), _IMAGES_A_CALL):
            some = tags[start : start + _IMAGES_A_CALL]
            request = {"repositoryName": repository, "imageIds": [{"imageTag": tag} for tag in some]}
            steps.append(BatchDeleteImage(request, f"{len(some)} image tags of {repository}"))
    for artifact in found.artifacts:
        bucket, _, key = artifact.removeprefix("s3://").partition("/")
        steps.append(DeleteObject({"Bucket": bucket, "Key": key}, artifact))
    for upload in found.uploads:
        uri, _, upload_id = upload.partition(UPLOAD_ID)
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        steps.append(
            AbortMultipartUpload(
                {"Bucket": bucket, "Key": key, "UploadId": upload_id}, f"unfinished upload of {uri}"
            )
        )
    return steps
