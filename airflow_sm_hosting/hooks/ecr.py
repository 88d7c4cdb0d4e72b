"""ECR: repositories, images by tag and by digest, and the registry's credentials."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.ecr import EcrHook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code


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

    def image_digest(self, repository_name: str, tag: str, *, registry_id: str | None = None) -> str | None:
        """Return the digest that a tag has now (``ecr:DescribeImages``), or None when there is no such image."""
        request: dict[str, Any] = {"repositoryName": repository_name, "imageIds": [{"imageTag": tag}]}
        if registry_id:
            request["registryId"] = registry_id
        try:
            return str(self.conn.describe_images(**request)["imageDetails"][0]["imageDigest"])
        except ClientError as error:
            if error_code(error) in ("ImageNotFoundException", "RepositoryNotFoundException"):
                return None
            raise
