"""Model packages: resolve references to the ARN of one version, before a model is named, and look at versions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployer.batch_polls import BatchPolls
from airflow_sm_hosting.deployment.model_package import (
    APPROVED,
    can_be_deployed,
    check_can_be_deployed,
    content_of,
    nothing_approved,
    package_summary,
    specification_of,
)
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelPackageError, NotFoundError
from airflow_sm_hosting.hooks.errors import is_package_absent
from airflow_sm_hosting.spec.reference import kind_of

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.model_registry import ModelRegistryHook

log = logging.getLogger(__name__)


class PackageResolver:
    """Resolves the references to model packages under one AWS connection.

    :param registry: Makes the hook of the model registry.
    """

    def __init__(self, registry: Callable[[], ModelRegistryHook]) -> None:
        self._registry = registry
        #: What was resolved, in order, for the details of the task.
        self.resolved: list[dict[str, Any]] = []

    def resolve(
        self, where: str, package: Any, specification_name: str | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Return the name of a package to send, and the content that it stands for.

        A name or an ARN in place of a reference is returned unchanged, without a call.

        :param where: The field, for messages.
        :param package: The reference, rendered and checked.
        :param specification_name: Name of an additional inference specification (default: the package's own).
        :raises NotFoundError: When there is no such package or group, or none that can be deployed.
        :raises ModelPackageError: When it cannot be deployed as it is.
        """
        match kind_of(package):
            case "LatestApprovedPackage":
                found = self._latest(package["Group"])
            case "PackageVersion":
                found = self._version(where, package["Arn"])
            case "PackageOfEvent" if package.get("Arn"):
                found = self._version(where, package["Arn"])
            case "PackageOfEvent" if package.get("Group"):
                log.info("No event of a model package started this run")
                found = self._latest(package["Group"])
            case "PackageOfEvent":
                raise InvalidSpecError(
                    f"{where}: no event of a model package started this run; allowed: a run that the asset's watcher starts, or "
                    "ModelPackage.from_event(…, group=…) with the group to take the latest approved version of."
                )
            case _:
                return package, {}
        check_can_be_deployed(where, found, specification_name)
        specification = specification_of(found, specification_name)
        told = package_summary(found, specification)
        log.info(
            "Model package %s is %s, %s: image %s, model data %s",
            found["ModelPackageArn"],
            found.get("ModelApprovalStatus"),
            found.get("ApprovalDescription") or "without a description",
            ", ".join(map(str, told["images"])),
            ", ".join(map(str, told["model_data"])),
        )
        self.resolved.append(told)
        return str(found["ModelPackageArn"]), {"Package": content_of(specification)}

    def _latest(self, group: str) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        hook = self._registry()
        try:
            for page in hook.newest_versions(group, approval=APPROVED):
                for row in filter(can_be_deployed, page):
                    found = hook.describe_package(row["ModelPackageArn"])
                    # It may have been rejected or deleted since it was listed.
                    if found is not None and can_be_deployed(found):
                        return found
            there = next((page for page in hook.newest_versions(group) if page), [])
        except ClientError as error:
            if not is_package_absent(error):
                raise
            raise NotFoundError(
                f"There is no model package group {group} in {hook.conn_region_name}; allowed: a group of this account by name, one of "
                "another account by its ARN."
            ) from None
        raise NotFoundError(nothing_approved(group, hook.conn_region_name, there))

    def _version(self, where: str, name: str) -> dict[str, Any]:
        hook = self._registry()
        found = hook.describe_package(name)
        if found is None:
            raise NotFoundError(f"{where}: there is no model package {name} in {hook.conn_region_name}.")
        return found


class PackagePolls(BatchPolls):
    """Looks at versions of the model registry (BatchDescribeModelPackage)."""

    operation = "BatchDescribeModelPackage"

    def ask(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Return versions by ARN."""
        found: dict[str, Mapping[str, Any]] = self.hook.packages(ids)
        return found

    def refused(self, error: Exception) -> ModelPackageError:
        """Return the error of a version that cannot be looked at."""
        return ModelPackageError(f"The model package cannot be looked at: {type(error).__name__}: {error}.")
