"""Register a version of a model package group, unless there is one with the same content."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_sm_hosting.deployment.registration import has_fingerprint, with_same_containers
from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.hooks.errors import is_package_absent, is_package_conflict
from airflow_sm_hosting.spec.tags import OURS, tag_list

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.model_registry import ModelRegistryHook
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

log = logging.getLogger(__name__)


class Registration:
    """Registers in one group.

    :param hook: The hook of the model registry.
    :param group: Name or ARN of the group.
    """

    def __init__(self, hook: ModelRegistryHook, group: str) -> None:
        self._hook = hook
        self._group = group
        self._is_new_group = False

    def ensure_group(
        self,
        sagemaker: SageMakerHostingHook,
        *,
        create: bool,
        description: str | None,
        tags: Mapping[str, str],
    ) -> bool:
        """Create the group if it does not exist, and set missing tags on one that exists; return whether it is new.

        :param sagemaker: The hook that tags.
        :param create: Whether it may be created.
        :param description: Description of a new group.
        :param tags: Tags in addition to ours.
        :raises NotFoundError: When it does not exist and may not be created.
        """
        described = self._hook.describe_group(self._group)
        if described is None:
            if not create:
                raise self._absent()
            request = {
                "ModelPackageGroupName": self._group,
                "Tags": tag_list({**tags, **OURS}),
                **({"ModelPackageGroupDescription": description} if description else {}),
            }
            self._is_new_group = self._hook.create_group(request)
            if self._is_new_group:
                log.info("Created model package group %s", self._group)
            return self._is_new_group
        if tags:
            arn = described["ModelPackageGroupArn"]
            sagemaker.reconcile_tags(arn, sagemaker.tags(arn), tags)
        return False

    def find(self, request: Mapping[str, Any], digest: str) -> dict[str, Any] | None:
        """Return the newest version with this content, as DescribeModelPackage describes it; None when there is none.

        Two calls for each hundred versions, one for each that has the same images and model data.

        :param request: The CreateModelPackage request.
        :param digest: Its fingerprint.
        :raises NotFoundError: When the group does not exist.
        """
        try:
            if not self._is_new_group:
                return self._find(request, digest)
        except ClientError as error:
            if not is_package_absent(error):
                raise
            raise self._absent() from None
        return None

    def register(self, request: Mapping[str, Any], digest: str) -> tuple[str, bool]:
        """Create a version, and return its ARN and whether this call has created it.

        :param request: The CreateModelPackage request, with its ``ClientToken``.
        :param digest: Its fingerprint.
        """
        try:
            arn = self._hook.create_package(request, is_new_group=self._is_new_group)
        except ClientError as error:
            # Two runs with the same content at once: the other one has used the token, with its own source.
            if not is_package_conflict(error):
                raise
            found = self._hook.until_listed(lambda: self._find(request, digest))
            if found is None:
                raise
            return str(found["ModelPackageArn"]), False
        return arn, True

    def _find(self, request: Mapping[str, Any], digest: str) -> dict[str, Any] | None:
        for page in self._hook.newest_versions(self._group):
            if not page:
                continue
            described = self._hook.packages([row["ModelPackageArn"] for row in page])
            for candidate in with_same_containers(request, described.values()):
                package = self._hook.describe_package(candidate["ModelPackageArn"])
                if package is not None and has_fingerprint(package, digest):
                    return package
        return None

    def _absent(self) -> NotFoundError:
        return NotFoundError(
            f"There is no model package group {self._group} in {self._hook.conn_region_name}; create_group=True creates it."
        )
