"""ECR: repositories, images by tag and by digest, and the registry's credentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.amazon.aws.hooks.ecr import EcrHook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code

#: What ECR would otherwise convert for old clients (BatchGetImage, acceptedMediaTypes).
MANIFEST_MEDIA_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


class EcrRepositoryHook(SharedClients, EcrHook):
    """Interact with repositories of Amazon ECR; credentials come from the Amazon provider's EcrHook, which masks them in logs.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    def repository_uri(self, repository_name: str, *, registry_id: str | None = None) -> str:
        """Return a repository's URI (``ecr:DescribeRepositories``).

        :raises NotFoundError: When there is none of that name.
        """
        request: dict[str, Any] = {"repositoryNames": [repository_name]}
        if registry_id:
            request["registryId"] = registry_id
        try:
            return str(self.conn.describe_repositories(**request)["repositories"][0]["repositoryUri"])
        except ClientError as error:
            if error_code(error) != "RepositoryNotFoundException":
                raise
            raise NotFoundError(
                f"ECR has no repository {repository_name!r} in {self.region_name} of registry {registry_id or 'of this account'}."
            ) from None

    def images(
        self, repository_name: str, tags: Sequence[str], *, registry_id: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the images that tags name now, by tag (``ecr:BatchGetImage``, which the right to pull includes).

        A tag, or a repository, that does not exist is left out.
        """
        request: dict[str, Any] = {
            "repositoryName": repository_name,
            "imageIds": [{"imageTag": tag} for tag in tags],
            "acceptedMediaTypes": list(MANIFEST_MEDIA_TYPES),
        }
        if registry_id:
            request["registryId"] = registry_id
        try:
            found = self.conn.batch_get_image(**request)["images"]
        except ClientError as error:
            if error_code(error) != "RepositoryNotFoundException":
                raise
            return {}
        return {image["imageId"]["imageTag"]: image for image in found if "imageTag" in image["imageId"]}

    def image_digest(self, repository_name: str, tag: str, *, registry_id: str | None = None) -> str | None:
        """Return the digest that a tag has now, or None when there is no such image."""
        image = self.images(repository_name, [tag], registry_id=registry_id).get(tag)
        return str(image["imageId"]["imageDigest"]) if image else None

    def ensure_repository(self, repository_name: str, tags: Mapping[str, str]) -> str:
        """Return a repository's URI, made first if it does not exist (``ecr:CreateRepository``)."""
        try:
            return self.repository_uri(repository_name)
        except NotFoundError:
            tag_list = [{"Key": key, "Value": value} for key, value in tags.items()]
        try:
            made = self.conn.create_repository(repositoryName=repository_name, tags=tag_list)
        except ClientError as error:
            if error_code(error) != "RepositoryAlreadyExistsException":
                raise
            return self.repository_uri(repository_name)
        self.log.info("Created ECR repository %s", repository_name)
        return str(made["repository"]["repositoryUri"])

    def tag_image(self, repository_name: str, image: Mapping[str, Any], tag: str) -> None:
        """Give an image another tag (``ecr:PutImage``); nothing is pushed."""
        self.conn.put_image(
            repositoryName=repository_name,
            imageManifest=image["imageManifest"],
            imageManifestMediaType=image.get("imageManifestMediaType"),
            imageTag=tag,
            imageDigest=image["imageId"]["imageDigest"],
        )
        self.log.info("Tagged %s@%s as %s", repository_name, image["imageId"]["imageDigest"], tag)
