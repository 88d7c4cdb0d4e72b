"""ECR: repositories, images by tag and by digest, and the registry's credentials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.ecr import EcrHook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import AccessError, NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code, error_message, is_denied
from airflow_sm_hosting.spec.dlc import is_of_aws

if TYPE_CHECKING:
    from types_boto3_ecr.client import ECRClient
    from types_boto3_ecr.type_defs import ImageTypeDef, PutImageRequestTypeDef, TagTypeDef

#: Accepted media types; without them ECR converts manifests for old clients (BatchGetImage, acceptedMediaTypes).
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

    conn: ECRClient

    def repository_uri(self, repository_name: str, *, registry_id: str | None = None) -> str:
        """Return a repository's URI (``ecr:DescribeRepositories``).

        :raises NotFoundError: When it does not exist.
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

    def image(self, repository_name: str, tag: str, *, registry_id: str | None = None) -> ImageTypeDef | None:
        """Return the current image of a tag (``ecr:BatchGetImage``, part of the permission to pull), or None.

        The result is also None when the repository does not exist.

        :raises AccessError: When the worker may not read the image in another account's registry; the message says which policy is lacking.
        """
        return self._image(repository_name, {"imageTag": tag}, registry_id)

    def image_of_digest(self, repository_name: str, digest: str) -> ImageTypeDef | None:
        """Return the image with a digest (``ecr:BatchGetImage``), or None."""
        return self._image(repository_name, {"imageDigest": digest}, None)

    def _image(
        self, repository_name: str, image_id: dict[str, str], registry_id: str | None
    ) -> ImageTypeDef | None:
        request: dict[str, Any] = {
            "repositoryName": repository_name,
            "imageIds": [image_id],
            "acceptedMediaTypes": list(MANIFEST_MEDIA_TYPES),
        }
        if registry_id:
            request["registryId"] = registry_id
        try:
            found = self.conn.batch_get_image(**request)["images"]
        except ClientError as error:
            if is_denied(error) and registry_id and registry_id != self.account_id:
                raise AccessError(
                    self._why_denied(repository_name, registry_id, error_message(error))
                ) from None
            if error_code(error) != "RepositoryNotFoundException":
                raise
            return None
        return found[0] if found else None

    def _why_denied(self, repository_name: str, registry_id: str, message: str) -> str:
        """Return which policy does not allow to read an image of another account."""
        denied = f"{self.worker} may not read {repository_name} in the registry of account {registry_id} ({message})."
        denied = denied[0].upper() + denied[1:]
        of_aws = is_of_aws(registry_id)
        # IAM user guide, "troubleshoot_access-denied": the message names the kind of policy that lacks the permission.
        if of_aws or "identity-based" in message:
            owner = (
                "The registry is AWS's own and open to every account: nothing has to be changed there."
                if of_aws
                else "After that, the owner of the repository may also have to allow this account."
            )
            return (
                f"{denied} The worker's own IAM policy lacks ecr:BatchGetImage on this repository: add it, as "
                f"airflow_sm_hosting.policies.worker(repositories=[…]) prints it. {owner}"
            )
        return (
            f"{denied} The repository's policy must allow this account, and the model's execution role, "
            "ecr:BatchGetImage, ecr:GetDownloadUrlForLayer and ecr:BatchCheckLayerAvailability: its owner gets the "
            "policy from airflow_sm_hosting.policies.image_pull(…)."
        )

    def image_digest(self, repository_name: str, tag: str, *, registry_id: str | None = None) -> str | None:
        """Return the current digest of a tag, or None when there is no such image."""
        image = self.image(repository_name, tag, registry_id=registry_id)
        return str(image["imageId"]["imageDigest"]) if image else None

    def ensure_repository(self, repository_name: str, tags: Mapping[str, str]) -> str:
        """Return a repository's URI; create the repository if it does not exist (``ecr:CreateRepository``)."""
        try:
            return self.repository_uri(repository_name)
        except NotFoundError:
            tag_list: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
        try:
            made = self.conn.create_repository(repositoryName=repository_name, tags=tag_list)
        except ClientError as error:
            if error_code(error) != "RepositoryAlreadyExistsException":
                raise
            return self.repository_uri(repository_name)
        self.log.info("Created ECR repository %s", repository_name)
        return str(made["repository"]["repositoryUri"])

    def tag_image(self, repository_name: str, image: Mapping[str, Any], tag: str) -> None:
        """Add a tag to an image (``ecr:PutImage``) without a push."""
        request: PutImageRequestTypeDef = {
            "repositoryName": repository_name,
            "imageManifest": image["imageManifest"],
            "imageTag": tag,
            "imageDigest": image["imageId"]["imageDigest"],
        }
        # A manifest may contain its own type (PutImage, imageManifestMediaType).
        if image.get("imageManifestMediaType"):
            request["imageManifestMediaType"] = image["imageManifestMediaType"]
        self.conn.put_image(**request)
        self.log.info("Tagged %s@%s as %s", repository_name, image["imageId"]["imageDigest"], tag)
