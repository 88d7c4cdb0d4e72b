"""ECR: repositories, images by tag and by digest, and the registry's credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.ecr import EcrHook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import AccessError, ConflictError, NotFoundError
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code, error_message, is_denied
from airflow_sm_hosting.policies import image_pull
from airflow_sm_hosting.policies.document import merged, with_sids
from airflow_sm_hosting.spec.dlc import is_of_aws

if TYPE_CHECKING:
    from types_boto3_ecr.client import ECRClient
    from types_boto3_ecr.type_defs import (
        ImageTypeDef,
        PutImageRequestTypeDef,
        RepositoryTypeDef,
        TagTypeDef,
    )

#: The statement of a repository's policy that is ours.
PULL_STATEMENT = "SmHostingPull"
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

    def repository(self, repository_name: str, *, registry_id: str | None = None) -> RepositoryTypeDef | None:
        """Return a repository (``ecr:DescribeRepositories``), or None."""
        request: dict[str, Any] = {"repositoryNames": [repository_name]}
        if registry_id:
            request["registryId"] = registry_id
        try:
            return self.conn.describe_repositories(**request)["repositories"][0]
        except ClientError as error:
            if error_code(error) != "RepositoryNotFoundException":
                raise
            return None

    def repository_uri(self, repository_name: str, *, registry_id: str | None = None) -> str:
        """Return a repository's URI (``ecr:DescribeRepositories``).

        :raises NotFoundError: When it does not exist.
        """
        found = self.repository(repository_name, registry_id=registry_id)
        if found is None:
            raise NotFoundError(
                f"ECR has no repository {repository_name!r} in {self.region_name} of registry {registry_id or 'of this account'}."
            )
        return str(found["repositoryUri"])

    def image(self, repository_name: str, *tags: str, registry_id: str | None = None) -> ImageTypeDef | None:
        """Return the current image of a tag, of several one with Docker's manifest (``ecr:BatchGetImage``, part of the permission to pull), or None.

        The result is also None when the repository does not exist.

        :raises AccessError: When the worker may not read the image in another account's registry; the message says which policy is lacking.
        """
        found = self._images(repository_name, [{"imageTag": tag} for tag in tags], registry_id)
        return min(
            found,
            key=lambda image: image.get("imageManifestMediaType") != MANIFEST_MEDIA_TYPES[0],
            default=None,
        )

    def image_of_digest(self, repository_name: str, digest: str) -> ImageTypeDef | None:
        """Return the image with a digest (``ecr:BatchGetImage``), or None."""
        found = self._images(repository_name, [{"imageDigest": digest}], None)
        return found[0] if found else None

    def _images(
        self, repository_name: str, image_ids: list[dict[str, str]], registry_id: str | None
    ) -> list[ImageTypeDef]:
        request: dict[str, Any] = {
            "repositoryName": repository_name,
            "imageIds": image_ids,
            "acceptedMediaTypes": list(MANIFEST_MEDIA_TYPES),
        }
        if registry_id:
            request["registryId"] = registry_id
        try:
            return self.conn.batch_get_image(**request)["images"]
        except ClientError as error:
            if is_denied(error) and registry_id and registry_id != self.account_id:
                raise AccessError(
                    self._why_denied(repository_name, registry_id, error_message(error))
                ) from None
            if error_code(error) != "RepositoryNotFoundException":
                raise
            return []

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

    def ensure_repository(
        self, repository_name: str, tags: Mapping[str, str], settings: Mapping[str, Any] | None = None
    ) -> str:
        """Return a repository's URI; create the repository if it does not exist (``ecr:CreateRepository``), and give it its settings.

        :param repository_name: The repository.
        :param tags: Tags of a new repository.
        :param settings: In the shape of :class:`~airflow_sm_hosting.spec.repository_settings.RepositorySettings`; what is not there stays.
        :raises ConflictError: When the repository has another encryption, which ECR cannot change.
        """
        wanted = dict(settings or {})
        lifecycle, principals = wanted.pop("lifecyclePolicyText", None), wanted.pop("pullPrincipals", None)
        found = self.repository(repository_name)
        if found is None:
            found = self._create_repository(repository_name, tags, wanted)
        self._settle(found, wanted)
        if lifecycle is not None:
            self._settle_lifecycle(repository_name, lifecycle)
        if principals:
            self._settle_policy(repository_name, principals)
        return str(found["repositoryUri"])

    def _create_repository(
        self, repository_name: str, tags: Mapping[str, str], settings: dict[str, Any]
    ) -> RepositoryTypeDef:
        tag_list: list[TagTypeDef] = [{"Key": key, "Value": value} for key, value in tags.items()]
        try:
            made = self.conn.create_repository(repositoryName=repository_name, tags=tag_list, **settings)
        except ClientError as error:
            if error_code(error) != "RepositoryAlreadyExistsException":
                raise
            found = self.repository(repository_name)
            if found is None:
                raise
            return found
        self.log.info("Created ECR repository %s", repository_name)
        return made["repository"]

    def _settle(self, found: RepositoryTypeDef, wanted: Mapping[str, Any]) -> None:
        """Give a repository the settings of CreateRepository (``ecr:PutImageScanningConfiguration``, ``ecr:PutImageTagMutability``)."""
        name = found["repositoryName"]
        scanning = wanted.get("imageScanningConfiguration")
        if scanning is not None and found.get("imageScanningConfiguration") != scanning:
            self.conn.put_image_scanning_configuration(
                repositoryName=name, imageScanningConfiguration=scanning
            )
            self.log.info("Repository %s: scan on push is %s now", name, scanning.get("scanOnPush"))
        members = ("imageTagMutability", "imageTagMutabilityExclusionFilters")
        mutability = {member: wanted[member] for member in members if member in wanted}
        if mutability and any(found.get(member) != value for member, value in mutability.items()):
            self.conn.put_image_tag_mutability(repositoryName=name, **mutability)
            self.log.info("Repository %s: its tags are %s now", name, mutability.get(members[0]))
        asked: Mapping[str, Any] = wanted.get("encryptionConfiguration") or {}
        has: Mapping[str, Any] = found.get("encryptionConfiguration") or {"encryptionType": "AES256"}
        # ECR answers the key's ARN; an alias does not show which one it names.
        key = str(asked.get("kmsKey") or "")
        key_id = str(has.get("kmsKey", ""))
        same_key = not key or "alias/" in key or key_id == key or key_id.endswith(f":key/{key}")
        if asked and (asked.get("encryptionType") != has.get("encryptionType") or not same_key):
            raise ConflictError(
                f"ECR repository {name!r} is encrypted with {has.get('kmsKey') or has.get('encryptionType')}, not with "
                f"{key or asked.get('encryptionType')}, and ECR cannot change that. Use another repository, or delete this one."
            )

    def _settle_lifecycle(self, repository_name: str, text: str) -> None:
        """Add our rules to a repository's lifecycle policy (``ecr:GetLifecyclePolicy``, ``ecr:PutLifecyclePolicy``); others stay.

        :raises ConflictError: When somebody else's rule is about untagged images, of which ECR takes one.
        """
        try:
            found = json.loads(
                self.conn.get_lifecycle_policy(repositoryName=repository_name)["lifecyclePolicyText"]
            )["rules"]
        except ClientError as error:
            if error_code(error) != "LifecyclePolicyNotFoundException":
                raise
            found = []
        ours = json.loads(text)["rules"]
        names = {rule.get("description") for rule in ours}
        others = [rule for rule in found if rule.get("description") not in names]
        untagged = [rule for rule in (*others, *ours) if rule["selection"]["tagStatus"] == "untagged"]
        if len(untagged) > 1:
            raise ConflictError(
                f"ECR repository {repository_name!r} has a lifecycle rule for untagged images already (priority "
                f"{untagged[0]['rulePriority']}), and ECR takes one. Delete it, or leave expire_untagged_after out."
            )
        taken = {rule["rulePriority"] for rule in others}
        # Rules for any image have the lowest priority, which is the highest number.
        free = iter(sorted(set(range(1, len(taken) + len(ours) + 1)) - taken))
        wanted = [*others, *({**rule, "rulePriority": next(free)} for rule in ours)]
        wanted.sort(key=lambda rule: int(rule["rulePriority"]))
        if wanted != sorted(found, key=lambda rule: int(rule["rulePriority"])):
            self.conn.put_lifecycle_policy(
                repositoryName=repository_name, lifecyclePolicyText=json.dumps({"rules": wanted})
            )
            self.log.info("Repository %s has a new lifecycle policy", repository_name)

    def _settle_policy(self, repository_name: str, principals: list[str]) -> None:
        """Let others pull (``ecr:GetRepositoryPolicy``, ``ecr:SetRepositoryPolicy``); statements of others stay."""
        policy = image_pull(principals=principals, partition=self.conn_partition)
        if self.grant(repository_name, with_sids(policy, PULL_STATEMENT), PULL_STATEMENT):
            self.log.info("Repository %s may be pulled from by %s", repository_name, ", ".join(principals))

    def grant(self, repository_name: str, statements: Sequence[Mapping[str, Any]], sid: str) -> bool:
        """Give a repository's policy our statements (``ecr:GetRepositoryPolicy``, ``ecr:SetRepositoryPolicy``); those of others stay.

        :param repository_name: The repository.
        :param statements: The statements.
        :param sid: Their id.
        :return: Whether the policy has changed.
        :raises NotFoundError: When the repository does not exist.
        """
        try:
            found = json.loads(self.conn.get_repository_policy(repositoryName=repository_name)["policyText"])
        except ClientError as error:
            if error_code(error) == "RepositoryNotFoundException":
                raise NotFoundError(
                    f"ECR has no repository {repository_name!r} in {self.region_name} of this account."
                ) from None
            if error_code(error) != "RepositoryPolicyNotFoundException":
                raise
            found = None
        wanted = merged(found, statements, sid)
        if wanted is None:
            return False
        self.conn.set_repository_policy(repositoryName=repository_name, policyText=json.dumps(wanted))
        return True

    def tag_image(self, repository_name: str, image: Mapping[str, Any], tag: str) -> None:
        """Add a tag to an image (``ecr:PutImage``) without a push.

        :raises ConflictError: When the tag is immutable and names another image.
        """
        request: PutImageRequestTypeDef = {
            "repositoryName": repository_name,
            "imageManifest": image["imageManifest"],
            "imageTag": tag,
            "imageDigest": image["imageId"]["imageDigest"],
        }
        # A manifest may contain its own type (PutImage, imageManifestMediaType).
        if image.get("imageManifestMediaType"):
            request["imageManifestMediaType"] = image["imageManifestMediaType"]
        try:
            self.conn.put_image(**request)
        except ClientError as error:
            if error_code(error) != "ImageTagAlreadyExistsException":
                raise
            raise ConflictError(
                f"The tag {tag!r} of ECR repository {repository_name!r} names another image, and the repository's tags are immutable. Give "
                "each image another image_tag, or none."
            ) from None
        self.log.info("Tagged %s@%s as %s", repository_name, image["imageId"]["imageDigest"], tag)
