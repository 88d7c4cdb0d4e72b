"""What SageMaker refuses of model packages beyond its model of the requests: each rule with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.wire.errors import AwsError

# _API is https://docs.aws.amazon.com/sagemaker/latest/APIReference
# _API/API_UpdateModelPackage.html, AdditionalInferenceSpecificationsToAdd; CustomerMetadataMap of botocore's model.
_MOST_SPECIFICATIONS = 15
_MOST_PROPERTIES = 50
# What has SageMaker run jobs or look into an algorithm: nothing here does.
_NOT_BUILT = ("ValidationSpecification", "SourceAlgorithmSpecification")


def check_create_model_package(request: Mapping[str, Any]) -> None:
    """Validate a CreateModelPackage request."""
    named, grouped = "ModelPackageName" in request, "ModelPackageGroupName" in request
    if named and grouped:
        # getmoto/moto#7165
        refuse(
            "Both ModelPackageName and ModelPackageGroupName are provided in the input. Cannot determine which one to use."
        )
    if not named and not grouped:
        # getmoto/moto#7165
        refuse("Missing ARN.")
    if asked := [member for member in _NOT_BUILT if member in request]:
        raise AwsError(
            "NotImplemented", f"The local AWS has no CreateModelPackage with {asked[0]}.", status=501
        )
    _check_names(request.get("AdditionalInferenceSpecifications", ()))
    if grouped:
        _check_versioned(request)
    else:
        _check_unversioned(request)


def check_update(members: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    """Validate an UpdateModelPackage request.

    :param members: The package as it is.
    """
    if "ModelPackageVersion" not in members and "ModelApprovalStatus" in request:
        # _API/API_CreateModelPackage.html, ModelApprovalStatus: "does not apply to unversioned models"; the text is assumed.
        refuse("ModelApprovalStatus cannot be specified for an unversioned model package.")
    added = request.get("AdditionalInferenceSpecificationsToAdd", ())
    specifications = [*members.get("AdditionalInferenceSpecifications", ()), *added]
    _check_names(specifications)
    if len(specifications) > _MOST_SPECIFICATIONS:
        refuse(
            f"A model package can have at most {_MOST_SPECIFICATIONS} additional inference specifications."
        )
    if len(updated_properties(members, request)) > _MOST_PROPERTIES:
        refuse(f"A model package can have at most {_MOST_PROPERTIES} customer metadata properties.")


def updated_properties(members: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, str]:
    """Return the customer metadata properties after an update."""
    merged = {
        **members.get("CustomerMetadataProperties", {}),
        **request.get("CustomerMetadataProperties", {}),
    }
    removed = request.get("CustomerMetadataPropertiesToRemove", ())
    return {key: value for key, value in merged.items() if key not in removed}


def check_deployable(members: Mapping[str, Any]) -> None:
    """Refuse a package that no model can be made of; the texts are assumed."""
    arn = members["ModelPackageArn"]
    if members["ModelPackageStatus"] != "Completed":
        refuse(f"Model package {arn} is not Completed: its status is {members['ModelPackageStatus']}.")
    approval = members.get("ModelApprovalStatus")
    if "ModelPackageVersion" in members and approval != "Approved":
        # _API/API_CreateModelPackage.html, ModelApprovalStatus: "must be set to Approved to deploy the model".
        refuse(f"Model package {arn} is not Approved: its approval status is {approval}.")


def package_containers(
    members: Mapping[str, Any], specification_name: str | None
) -> Sequence[Mapping[str, Any]]:
    """Return the containers of a specification of a package.

    :param specification_name: The name of an additional specification; None for the package's own.
    """
    arn = members["ModelPackageArn"]
    if specification_name is None:
        if "InferenceSpecification" not in members:
            # Packages of MLflow can be without (mlflow-track-experiments-model-registration.html); the text is assumed.
            refuse(f"Model package {arn} has no InferenceSpecification.")
        containers: Sequence[Mapping[str, Any]] = members["InferenceSpecification"]["Containers"]
        return containers
    named: Mapping[str, Any] | None = next(
        (
            one
            for one in members.get("AdditionalInferenceSpecifications", ())
            if one["Name"] == specification_name
        ),
        None,
    )
    if named is None:
        # Assumed.
        refuse(f"Could not find inference specification {specification_name} in model package {arn}.")
    found: Sequence[Mapping[str, Any]] = named["Containers"]
    return found


def _check_versioned(request: Mapping[str, Any]) -> None:
    # _API/API_CreateModelPackage.html; the texts are assumed.
    if request.get("Tags"):
        # "you cannot supply a tag argument"
        refuse("Tags cannot be specified for a versioned model package: it uses the tags of its group.")
    if request.get("CertifyForMarketplace"):
        # "does not apply to versioned models"
        refuse("CertifyForMarketplace cannot be specified for a versioned model package.")


def _check_unversioned(request: Mapping[str, Any]) -> None:
    if "ModelApprovalStatus" in request:
        # As in check_update.
        refuse("ModelApprovalStatus cannot be specified for an unversioned model package.")
    specification = request.get("InferenceSpecification")
    if specification is None and "SourceUri" not in request:
        # Nothing says what it consists of: assumed.
        refuse("InferenceSpecification must be specified for an unversioned model package.")
    for member in ("SupportedTransformInstanceTypes", "SupportedRealtimeInferenceInstanceTypes"):
        # _API/API_InferenceSpecification.html: "required for unversioned models, and optional for versioned models"; the text is assumed.
        if specification is not None and not specification.get(member):
            refuse(f"InferenceSpecification.{member} must be specified for an unversioned model package.")


def _check_names(specifications: Sequence[Mapping[str, Any]]) -> None:
    names = [specification["Name"] for specification in specifications]
    if len(set(names)) < len(names):
        # _API/API_AdditionalInferenceSpecificationDefinition.html: "must be unique"; the text is assumed.
        refuse("The names of additional inference specifications must be unique within a model package.")
