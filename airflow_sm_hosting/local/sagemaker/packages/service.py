"""The operations on model packages, and the containers of models that are made of them."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.moto_bridge import events, s3
from airflow_sm_hosting.local.sagemaker.by_name import ByName
from airflow_sm_hosting.local.sagemaker.listing import in_period, one_page
from airflow_sm_hosting.local.sagemaker.model_data import location_of
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.packages.groups import GROUP_KIND, PackageGroup, PackageGroups
from airflow_sm_hosting.local.sagemaker.packages.package import (
    PACKAGE_KIND,
    PackageReference,
    StoredPackage,
    parse_reference,
)
from airflow_sm_hosting.local.sagemaker.packages.package_rules import (
    check_create_model_package,
    check_deployable,
    check_update,
    package_containers,
    updated_properties,
)
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import Store, served_containers
from airflow_sm_hosting.local.wire.tagging import tags_as_dict

LOG = logging.getLogger(__name__)

# Members of a package's container that a model's container has, too (ContainerDefinition of botocore's model).
_OF_MODELS = (
    *("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource"),
    *("AdditionalModelDataSources", "Environment"),
)
# Members of an update that replace those of the package.
_REPLACED = (
    *("ModelApprovalStatus", "ModelPackageRegistrationType", "ApprovalDescription"),
    *("InferenceSpecification", "SourceUri", "ModelCard", "ModelLifeCycle"),
)
_NOT_DESCRIBED = ("ClientToken", "Tags")


class Packages:
    """The model packages of one Region.

    A package is Completed at once: nothing validates it here.

    :param store: Has the models, the tags and the clock.
    :param groups: Have the versioned packages.
    :param registry: Has the images.
    """

    def __init__(self, store: Store, groups: PackageGroups, registry: Registry) -> None:
        self._store = store
        self._groups = groups
        self._registry = registry
        self._unversioned: ByName[StoredPackage] = ByName()

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the Region's lock held."""
        return {
            "CreateModelPackage": self._create,
            "DescribeModelPackage": self._describe,
            "UpdateModelPackage": self._update,
            "BatchDescribeModelPackage": self._batch_describe,
            "ListModelPackages": self._list,
            "DeleteModelPackage": self._delete,
        }

    def all(self) -> builtins.list[StoredPackage]:
        """Return the packages that can be found, versioned or not."""
        versioned = (package for group in self._groups.all() for package in group.versions.values())
        return [
            one for one in (*versioned, *self._unversioned.values()) if self._store.is_visible(one.created)
        ]

    def containers(self, definition: Mapping[str, Any]) -> builtins.list[dict[str, Any]]:
        """Return the containers of a model's container that names a package; itself where the package cannot be looked into.

        A package of another account (AWS Marketplace, or a shared group) is not known here.

        :raises AwsError: There is no such package, or no model can be made of it.
        """
        reference = parse_reference(definition["ModelPackageName"])
        if reference.owner and not self._is_own_account(reference.owner):
            return [dict(definition)]
        members = self._existing(definition["ModelPackageName"]).members
        check_deployable(members)
        found = package_containers(members, definition.get("InferenceSpecificationName"))
        return [_of_model(self._pinned(container), definition, is_one=len(found) == 1) for container in found]

    def tag_owner(self, arn: str) -> str:
        """Return the ARN by which the tags of a resource are kept: that of its group for a versioned package, else its own."""
        kind = arn.rpartition(":")[2].partition("/")[0]
        if kind == GROUP_KIND:
            group = self._groups.find(arn)
            return group.arn if group else arn
        if kind != PACKAGE_KIND:
            # Others have it in lower case.
            return arn.lower()
        found = self._find(arn)
        if found is None:
            return arn
        return found.arn if found.version is None else self._groups.existing(found.name).arn

    # Saved state, with the lock held

    def dump(self) -> builtins.list[dict[str, Any]]:
        """Return what is saved of the unversioned packages; the groups save theirs."""
        return [package.dump() for package in self._unversioned.values()]

    def load(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Restore saved unversioned packages."""
        for one in saved:
            package = StoredPackage(**one)
            self._unversioned[package.name] = package

    # Operations

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        check_create_model_package(request)
        if (token := request.get("ClientToken")) and (earlier := self._created_with(token)):
            if earlier.request != request:
                # "idempotent" (API_CreateModelPackage.html); the refusal of another request is assumed.
                refuse("The ClientToken was used for another CreateModelPackage request.")
            return {"ModelPackageArn": earlier.arn}
        given = dict(request)
        tags = tags_as_dict(request.pop("Tags", []))
        group: PackageGroup | None = None
        if "ModelPackageGroupName" in request:
            group = self._groups.find(request.pop("ModelPackageGroupName"))
            if group is None:
                # As moto answers since getmoto/moto#7165.
                refuse("Model Package Group does not exist.")
            place = f"{group.name}/{group.last_version + 1}"
            identity = {
                "ModelPackageGroupName": group.name,
                "ModelPackageVersion": group.last_version + 1,
                # That this is the default is assumed.
                "ModelApprovalStatus": "PendingManualApproval",
            }
        else:
            place = request["ModelPackageName"]
            identity = {}
        arn = f"{self._store.plain_arn(PACKAGE_KIND)}/{place}"
        if group is None and place in self._unversioned:
            # aws-cloudformation/aws-cloudformation-resource-providers-sagemaker, modelpackage, looks for this text.
            refuse(f"Model Package already exists: {arn}")
        now = self._store.clock.now()
        members = {
            **identity,
            **{name: value for name, value in request.items() if name not in _NOT_DESCRIBED},
            "ModelPackageArn": arn,
            "CreationTime": now,
            "LastModifiedTime": now,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": request.get("CertifyForMarketplace", False),
        }
        self._clone(members)
        for specification in _specifications(members):
            self._complete(specification)
        package = StoredPackage(members, token, given if token else {})
        if group:
            group.last_version += 1
            group.versions[group.last_version] = package
        else:
            self._store.tags.add(arn, tags)
            self._unversioned[place] = package
        self._announce(package, ())
        return {"ModelPackageArn": arn}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        members = dict(self._existing(request["ModelPackageName"]).members)
        if request.get("IncludedData") == "MetadataOnly" and "ModelCard" in members:
            # API_DescribeModelPackage.html: "with the embedded ModelCard.ModelCardContent field sanitized"; that this is empty is assumed.
            members["ModelCard"] = {**members["ModelCard"], "ModelCardContent": ""}
        return members

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        package = self._existing(request["ModelPackageArn"])
        members = package.members
        check_update(members, request)
        changed = {name: request[name] for name in _REPLACED if name in request}
        if "CustomerMetadataProperties" in request or "CustomerMetadataPropertiesToRemove" in request:
            changed["CustomerMetadataProperties"] = updated_properties(members, request)
        if added := request.get("AdditionalInferenceSpecificationsToAdd"):
            before = members.get("AdditionalInferenceSpecifications", [])
            changed["AdditionalInferenceSpecifications"] = [*before, *added]
        for specification in _specifications(changed):
            self._complete(specification)
        # What is set to the value that it has is not told as changed: assumed.
        updated = [name for name, value in changed.items() if members.get(name) != value]
        members.update(changed)
        members["LastModifiedTime"] = self._store.clock.now()
        self._announce(package, updated)
        return {"ModelPackageArn": package.arn}

    def _batch_describe(self, request: dict[str, Any]) -> dict[str, Any]:
        summaries: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for arn in request["ModelPackageArnList"]:
            found = self._find(arn)
            if found is None:
                # The code is assumed.
                errors[arn] = {"ErrorCode": "ValidationException", "ErrorResponse": _absent(arn)}
            elif found.version is None:
                # "batch describes a list of versioned model packages" (API_BatchDescribeModelPackage.html); the text is assumed.
                errors[arn] = {
                    "ErrorCode": "ValidationException",
                    "ErrorResponse": f"ModelPackage {arn} is not versioned.",
                }
            else:
                summaries[arn] = found.batch_summary()
        return {"ModelPackageSummaries": summaries, "BatchDescribeModelPackageErrorMap": errors}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        group = (
            self._groups.existing(request["ModelPackageGroupName"])
            if "ModelPackageGroupName" in request
            else None
        )
        # API_ListModelPackages.html: "the default value if no ModelPackageType is specified" is Unversioned. That a group alone has its
        # versions listed is assumed: AWS's examples list them so.
        wanted = request.get("ModelPackageType", "Versioned" if group else "Unversioned")
        found = [
            package
            for package in self.all()
            if (wanted == "Both" or (package.version is not None) == (wanted == "Versioned"))
            and (group is None or package.name == group.name)
            and request.get("ModelApprovalStatus", package.members.get("ModelApprovalStatus"))
            == package.members.get("ModelApprovalStatus")
            and request.get("NameContains", "").lower() in package.name.lower()
            and in_period(package.members, request)
        ]
        by_name = request.get("SortBy") == "Name"

        def rank(package: StoredPackage) -> tuple[Any, ...]:
            # Versions are numbers: 10 comes after 9.
            last = (package.name, package.version or 0)
            return last if by_name else (package.created, *last)

        # The same page: "The default is Ascending."
        found.sort(key=rank, reverse=request.get("SortOrder") == "Descending")
        return one_page("ModelPackageSummaryList", [package.summary() for package in found], request)

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        package = self._existing(request["ModelPackageName"])
        # Models that were made of it stay as they are: assumed.
        if package.version is not None:
            del self._groups.existing(package.name).versions[package.version]
        else:
            self._store.tags.forget(package.arn)
            del self._unversioned[package.name]
        return {}

    # Parts of them

    def _find(self, name_or_arn: str) -> StoredPackage | None:
        reference = parse_reference(name_or_arn)
        if reference.owner and reference.owner.lower() != self._store.plain_arn(PACKAGE_KIND):
            return None
        found = self._in_region(reference)
        return found if found and self._store.is_visible(found.created) else None

    def _in_region(self, reference: PackageReference) -> StoredPackage | None:
        if reference.version is None:
            return self._unversioned.get(reference.name)
        group = self._groups.find(reference.name)
        return group.versions.get(reference.version) if group else None

    def _existing(self, name_or_arn: str) -> StoredPackage:
        found = self._find(name_or_arn)
        if found is None:
            arn = (
                name_or_arn
                if name_or_arn.startswith("arn:")
                else f"{self._store.plain_arn(PACKAGE_KIND)}/{name_or_arn}"
            )
            refuse(_absent(arn))
        return found

    def _created_with(self, token: str) -> StoredPackage | None:
        return next((package for package in self.all() if package.token == token), None)

    def _is_own_account(self, owner: str) -> bool:
        return owner.split(":")[4] == self._store.plain_arn(PACKAGE_KIND).split(":")[4]

    def _clone(self, members: dict[str, Any]) -> None:
        """Take over what the package or the model of ``SourceUri`` consists of, where the request does not say it.

        API_CreateModelPackage.html: "If you want to clone a model package, set it to the model package" ARN, "to register a model, … the
        model ARN". Which members are taken over is assumed.
        """
        source = str(members.get("SourceUri", ""))
        if "InferenceSpecification" in members or not source.startswith("arn:"):
            return
        if ":model-package/" in source:
            cloned = self._existing(source).members
            if "InferenceSpecification" in cloned:
                members["InferenceSpecification"] = cloned["InferenceSpecification"]
        elif ":model/" in source:
            model = self._store.model(source.rpartition("/")[2])
            containers = [
                {name: container[name] for name in _OF_MODELS if name in container}
                for container in served_containers(model)
            ]
            members["InferenceSpecification"] = {"Containers": containers}

    def _complete(self, specification: Mapping[str, Any]) -> None:
        """Add what SageMaker finds out about the containers: the digests of images, and the ETags of artifacts.

        The event on the page has the digest of an image that is named by its tag. Images of other registries cannot be looked into.
        """
        for container in specification["Containers"]:
            image = self._registry.find(container.get("Image", ""))
            if image and "ImageDigest" not in container:
                container["ImageDigest"] = image.digest
            if "ModelDataUrl" in container and "ModelDataETag" not in container:
                etag = s3.etag_of(*location_of(container["ModelDataUrl"]))
                if etag:
                    container["ModelDataETag"] = etag

    def _pinned(self, container: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a container with the image that was registered, to which its tag may not lead any more: assumed.

        What the tags of other registries lead to is not known here.
        """
        image, digest = container.get("Image", ""), container.get("ImageDigest")
        if not digest or "@" in image or not self._registry.is_ours(image):
            return container
        return {**container, "Image": f"{image}@{digest.lower()}"}

    def _announce(self, package: StoredPackage, updated: Sequence[str]) -> None:
        """Send an event to EventBridge, as for each creation and each update."""
        try:
            events.put_event(
                self._store.region,
                "aws.sagemaker",
                "SageMaker Model Package State Change",
                package.arn,
                package.event(updated),
                self._store.clock.now(),
            )
        except Exception:
            LOG.exception("the event of model package %s cannot be sent", package.arn)


def _absent(arn: str) -> str:
    # aws-cloudformation/aws-cloudformation-resource-providers-sagemaker, modelpackage, expects this text.
    return f"ModelPackage {arn} does not exist."


def _specifications(members: Mapping[str, Any]) -> builtins.list[Mapping[str, Any]]:
    own = [members["InferenceSpecification"]] if "InferenceSpecification" in members else []
    return [*own, *members.get("AdditionalInferenceSpecifications", ())]


def _of_model(container: Mapping[str, Any], definition: Mapping[str, Any], *, is_one: bool) -> dict[str, Any]:
    """Return a container of a package as one of a model.

    That what stands beside the package's name goes before is assumed.

    :param definition: The model's container that names the package.
    :param is_one: Whether the package has no other container.
    """
    found = {name: container[name] for name in _OF_MODELS if name in container}
    beside = {
        name: value
        for name, value in definition.items()
        if name not in ("ModelPackageName", "InferenceSpecificationName", "Environment")
    }
    environment = {**found.get("Environment", {}), **definition.get("Environment", {})}
    if environment:
        found["Environment"] = environment
    # A hostname or a mode is one container's; the pipeline of a package has its own.
    return {**found, **beside} if is_one else found
