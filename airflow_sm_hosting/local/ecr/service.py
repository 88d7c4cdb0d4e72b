"""ECR's control plane: moto's, with answers that lead a container engine to the registry of this server."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.ecr.registry import Registry, RegistryRefusal
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID, partition_name
from airflow_sm_hosting.local.stand_ins.choice import MANIFEST_TYPE, StandIns, stand_in_manifest
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.responses import json_response

# https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_GetAuthorizationToken.html
_TOKEN_LIFETIME = timedelta(hours=12)

#: The operations that are not moto's, or not always.
OWN_OPERATIONS = ("GetAuthorizationToken", "PutImage", "BatchCheckLayerAvailability", "BatchGetImage")


class Ecr:
    """Amazon ECR in front of moto's.

    :param registry: The registry that images are pushed to.
    :param moto: Gives moto's answer to a request.
    :param stand_ins: What runs in place of images of other registries: these images are there, for who asks for their digest.
    """

    def __init__(self, registry: Registry, moto: Callable[[Request], Response], stand_ins: StandIns) -> None:
        self._registry = registry
        self._moto = moto
        self._stand_ins = stand_ins

    def answer(
        self, request: Request, operation: str, body: dict[str, Any], region: str, access_key: str
    ) -> Response:
        """Answer one operation, asked for under an access key."""
        self._registry.know_region(region)
        match operation:
            case "GetAuthorizationToken":
                return json_response(self._token(access_key, region))
            case "PutImage":
                return json_response(self._put_image(body, region))
            case "BatchCheckLayerAvailability":
                return json_response(self._layer_availability(body, region))
            case "BatchGetImage" if images := self._images_of_others(body, region):
                return json_response(images)
        response = self._moto(request)
        if response.status_code == 200 and operation in (
            "CreateRepository",
            "DescribeRepositories",
            "DeleteRepository",
            "DescribeImages",
        ):
            answer = response.get_json(force=True)
            for repository in [*answer.get("repositories", ()), *filter(None, [answer.get("repository")])]:
                repository["repositoryUri"] = f"{self._registry.host}/{repository['repositoryName']}"
            for image in answer.get("imageDetails", ()):
                self._correct_details(image, body, region)
            response.set_data(json.dumps(answer))
        return response

    def _token(self, access_key: str, region: str) -> dict[str, Any]:
        password = self._registry.password_of(access_key, region)
        token = base64.b64encode(f"AWS:{password}".encode()).decode()
        data = {
            "authorizationToken": token,
            "expiresAt": datetime.now(UTC) + _TOKEN_LIFETIME,
            "proxyEndpoint": f"http://{self._registry.host}",
        }
        return {"authorizationData": [data]}

    def _put_image(self, body: dict[str, Any], region: str) -> dict[str, Any]:
        """Store a manifest; moto's own PutImage takes a digest that is not the manifest's, and drops images."""
        name, tag, manifest = body["repositoryName"], body.get("imageTag"), body["imageManifest"]
        repository = self._registry.repository(name, region)
        if repository is None:
            raise AwsError(
                "RepositoryNotFoundException",
                f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT_ID}'",
            )
        before = self._registry.image(repository, tag) if tag else None
        try:
            stored = self._registry.put_manifest(
                repository, manifest.encode(), tag, body.get("imageManifestMediaType")
            )
        except RegistryRefusal as error:
            # https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImage.html#API_PutImage_Errors
            code = {
                "TAG_INVALID": "ImageTagAlreadyExistsException",
                "MANIFEST_BLOB_UNKNOWN": "LayersNotFoundException",
                "MANIFEST_UNKNOWN": "ReferencedImagesNotFoundException",
            }.get(error.code, "InvalidParameterException")
            raise AwsError(code, error.message) from error
        if body.get("imageDigest", stored.digest) != stored.digest:
            raise AwsError(
                "ImageDigestDoesNotMatchException",
                f"The image has the digest {stored.digest}, not {body['imageDigest']}",
            )
        if before and before.image_digest == stored.digest:
            raise AwsError(
                "ImageAlreadyExistsException",
                f"Image with digest '{stored.digest}' and tag '{tag}' already exists in the repository with name "
                f"'{name}' in registry with id '{ACCOUNT_ID}'",
            )
        image_id = {"imageDigest": stored.digest, **({"imageTag": tag} if tag else {})}
        return {
            "image": {
                "registryId": ACCOUNT_ID,
                "repositoryName": name,
                "imageId": image_id,
                "imageManifest": manifest,
                "imageManifestMediaType": stored.media_type,
            }
        }

    def _images_of_others(self, body: dict[str, Any], region: str) -> dict[str, Any] | None:
        """Return images of another account's registry in whose place something runs here; None if there are none."""
        account, repository = body.get("registryId", ACCOUNT_ID), body.get("repositoryName")
        if account == ACCOUNT_ID:
            return None
        suffix = "amazonaws.com.cn" if partition_name(region) == "aws-cn" else "amazonaws.com"
        host = f"{account}.dkr.ecr.{region}.{suffix}"
        images, failures = [], []
        for image_id in body.get("imageIds", ()):
            name = f"{host}/{repository}:{image_id.get('imageTag', '')}"
            found = self._stand_ins.replacement(name, self._registry.find, self._registry.host)
            if found is None or "imageTag" not in image_id:
                failures.append(
                    {
                        "imageId": image_id,
                        "failureCode": "ImageNotFound",
                        "failureReason": "Requested image not found",
                    }
                )
                continue
            manifest, digest = stand_in_manifest(name)
            text, media_type = manifest.decode(), MANIFEST_TYPE
            if found.stored:
                digest, media_type = found.stored.digest, found.stored.media_type
                text = self._registry.manifest_text(found.stored)
            self._stand_ins.pin(name, digest)
            images.append(
                {
                    "registryId": account,
                    "repositoryName": repository,
                    "imageId": {"imageDigest": digest, "imageTag": image_id["imageTag"]},
                    "imageManifest": text,
                    "imageManifestMediaType": media_type,
                }
            )
        return {"images": images, "failures": failures} if images else None

    def _layer_availability(self, body: dict[str, Any], region: str) -> dict[str, Any]:
        repository = self._registry.repository(body["repositoryName"], region)
        layers = []
        for digest in body["layerDigests"]:
            layer = {"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}
            if repository and self._registry.has_layer(repository, digest):
                size = self._registry.blob_path(digest).stat().st_size
                layer = {"layerDigest": digest, "layerAvailability": "AVAILABLE", "layerSize": size}
            layers.append(layer)
        return {"layers": layers, "failures": []}

    def _correct_details(self, image: dict[str, Any], body: dict[str, Any], region: str) -> None:
        # moto gives the size of the configuration as the size of the image.
        stored = self._registry.find(
            f"{ACCOUNT_ID}.dkr.ecr.{region}.amazonaws.com/{body['repositoryName']}@{image['imageDigest']}"
        )
        if stored:
            image["imageSizeInBytes"] = self._registry.size(stored.manifest)
            if config := stored.manifest.get("config"):
                image["artifactMediaType"] = config.get("mediaType")
