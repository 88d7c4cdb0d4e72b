"""The tasks that make images and artifacts of a description: one for equal ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.operators.build_image import BuildImageOperator
from airflow_sm_hosting.operators.upload_model_data import UploadModelDataOperator
from airflow_sm_hosting.spec.reference import kind_of

if TYPE_CHECKING:
    from airflow_sm_hosting.fields import Late


class AssetTasks:
    """Creates the tasks, in the task group that is open.

    :param repository_name: ECR repository of the images.
    :param bucket_name: Bucket of the artifacts.
    :param key_prefix: What their keys begin with.
    :param build_options: Further parameters of :class:`BuildImageOperator`.
    :param upload_options: Further parameters of :class:`UploadModelDataOperator`.
    :param aws: The four AWS parameters.
    """

    def __init__(
        self,
        *,
        repository_name: Late | None,
        bucket_name: Late | None,
        key_prefix: Late,
        build_options: Mapping[str, Any],
        upload_options: Mapping[str, Any],
        aws: Mapping[str, Any],
    ) -> None:
        self._repository_name = repository_name
        self._bucket_name = bucket_name
        self._key_prefix = key_prefix
        self._build_options = dict(build_options)
        self._upload_options = dict(upload_options)
        self._aws = aws
        self._assets: dict[str, Any] = {}

    def container(self, container: dict[str, Any]) -> dict[str, Any]:
        """Return the container with the outputs of the tasks that make its assets."""
        completed = copy(container)  # of the same class, so that its environment is hidden
        completed |= {
            member: self.made(container[member])
            for member in ("Image", "ModelDataUrl")
            if container.get(member) is not None
        }
        return completed

    def made(self, value: Any) -> Any:
        """Return the output of the task that makes an asset; any other value is returned as it is."""
        match kind_of(value):
            case "ImageAsset":
                return self._build(value)
            case "ModelDataAsset":
                return self._upload(value)
        return value

    def _build(self, image: dict[str, Any]) -> Any:
        repository = image.get("RepositoryName") or self._repository_name
        if repository is None:
            raise InvalidSpecError(
                "repository_name is missing; the image of ContainerImage.from_asset(…) is pushed to this "
                "repository."
            )
        # What an image says of itself holds for it, the options for all.
        of_image = {
            "dockerfile": image.get("Dockerfile"),
            "build_args": image.get("BuildArgs"),
            "target": image.get("Target"),
            "platform": image.get("Platform"),
            "labels": image.get("Labels"),
            "cache_from": image.get("CacheFrom"),
            "cache_to": image.get("CacheTo"),
            "build_contexts": image.get("BuildContexts"),
        }
        return self._once(
            image,
            "build_image",
            lambda task_id: BuildImageOperator(
                task_id=task_id,
                directory=image["Directory"],
                repository_name=repository,
                **{**self._build_options, **{name: one for name, one in of_image.items() if one is not None}},
                **self._aws,
            ),
        )

    def _upload(self, model_data: dict[str, Any]) -> Any:
        if self._bucket_name is None:
            raise InvalidSpecError(
                "bucket_name is missing; the artifact of ModelData.from_asset(…) is uploaded to this bucket."
            )
        bucket = self._bucket_name
        form = {"uncompressed": True} if model_data.get("Uncompressed") else {}
        return self._once(
            model_data,
            "upload_model_data",
            lambda task_id: UploadModelDataOperator(
                task_id=task_id,
                path=model_data["Path"],
                bucket_name=bucket,
                key_prefix=self._key_prefix,
                **{**self._upload_options, **form},
                **self._aws,
            ),
        )

    def _once(self, asset: dict[str, Any], task_id: str, make: Any) -> Any:
        """Return the output of the task that makes an asset, one task for equal assets."""
        key = f"{task_id}: {json.dumps(asset, sort_keys=True, default=repr)}"
        if key not in self._assets:
            before = sum(known.startswith(f"{task_id}:") for known in self._assets)
            self._assets[key] = make(f"{task_id}_{before + 1}" if before else task_id).output
        return self._assets[key]
