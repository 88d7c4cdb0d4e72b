"""Resources of SageMaker: models, endpoint configs, endpoints, inference components and model package groups.

The properties that need replacement, and those with system tags, are those of the types' schemas
(https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html), as cfn-lint 1.58 ships them; the pages are
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-sagemaker-model.html and those beside it. ``Ref`` is
the ARN of each (the schemas' ``primaryIdentifier``).
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow_sm_hosting.local.cloudformation.client import ServiceCall, absent_or
from airflow_sm_hosting.local.cloudformation.resource_type import (
    ResourceError,
    ResourceType,
    WantedResource,
    changed_tags,
    random_part,
    request_of,
    undone_on_failure,
)
from airflow_sm_hosting.local.wire.tagging import tags_as_list

_LONGEST_NAME = 63
#: botocore, EndpointStatus and InferenceComponentStatus: those that end by themselves.
_IN_TRANSITION = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


class SageMakerType(ResourceType):
    """A type of SageMaker's.

    :cvar noun: The resource in the names of operations: ``Model`` of ``CreateModel``.
    :cvar not_sent: Properties that are not members of the request that creates it.
    """

    noun: ClassVar[str]
    not_sent: ClassVar[frozenset[str]] = frozenset()
    attributes: ClassVar[tuple[str, ...]] = ()

    def generated_name(self, stack_name: str, logical_id: str) -> str:
        """Return a name of the logical id and random letters; the stack is not in it (aws/aws-cdk#22865)."""
        end = f"-{random_part(string.ascii_letters + string.digits)}"
        return f"{logical_id[: _LONGEST_NAME - len(end)]}{end}"

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Create it."""
        members = {name: value for name, value in wanted.properties.items() if name not in self.not_sent}
        members[f"{self.noun}Name"] = wanted.name
        tags = wanted.all_tags if self.has_system_tags else wanted.tags
        if tags:
            members["Tags"] = tags_as_list(tags)
        request = request_of("sagemaker", f"Create{self.noun}", members, wanted.logical_id)
        return str(call("sagemaker", f"Create{self.noun}", **request)[f"{self.noun}Arn"])

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change its tags."""
        added, removed = changed_tags(old, new)
        if added:
            call("sagemaker", "AddTags", ResourceArn=physical_id, Tags=tags_as_list(added))
        if removed:
            call("sagemaker", "DeleteTags", ResourceArn=physical_id, TagKeys=removed)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it."""
        name = {f"{self.noun}Name": wanted.name}
        absent_or(lambda: call("sagemaker", f"Delete{self.noun}", **name))

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its name, its ARN, or what it is described with."""
        if name == f"{self.noun}Name":
            return wanted.name
        if name in (f"{self.noun}Arn", "Id"):
            return physical_id
        if name not in self.attributes:
            raise KeyError(name)
        found: Any = self.described(call, wanted)
        for part in name.split("."):
            found = found.get(part, "") if isinstance(found, Mapping) else ""
        return found

    def described(self, call: ServiceCall, wanted: WantedResource) -> Mapping[str, Any] | None:
        """Return the description, None where it is gone."""
        name = {f"{self.noun}Name": wanted.name}
        return absent_or(lambda: call("sagemaker", f"Describe{self.noun}", **name))


class ModelType(SageMakerType):
    """``AWS::SageMaker::Model``."""

    type_name = "AWS::SageMaker::Model"
    noun = "Model"
    name_property = "ModelName"
    create_only = frozenset(
        {
            *("Containers", "EnableNetworkIsolation", "ExecutionRoleArn", "InferenceExecutionConfig"),
            *("ModelName", "PrimaryContainer", "VpcConfig"),
        }
    )
    allowed = create_only
    has_system_tags = True


class EndpointConfigType(SageMakerType):
    """``AWS::SageMaker::EndpointConfig``."""

    type_name = "AWS::SageMaker::EndpointConfig"
    noun = "EndpointConfig"
    name_property = "EndpointConfigName"
    create_only = frozenset(
        {
            *("AsyncInferenceConfig", "DataCaptureConfig", "EnableNetworkIsolation", "EndpointConfigName"),
            *("ExecutionRoleArn", "ExplainerConfig", "KmsKeyId", "MetricsConfig", "ProductionVariants"),
            *("ShadowProductionVariants", "VpcConfig"),
        }
    )
    allowed = create_only
    required = ("ProductionVariants",)


class _AwaitedType(SageMakerType):
    """A type whose resources are created, updated and deleted in the background."""

    @property
    def _status_member(self) -> str:
        return f"{self.noun}Status"

    def is_free(self, call: ServiceCall, physical_id: str) -> bool:
        """Return whether no change is in progress."""
        name = physical_id.rpartition("/")[2]
        found = absent_or(lambda: call("sagemaker", f"Describe{self.noun}", **{f"{self.noun}Name": name}))
        return found is None or found[self._status_member] not in _IN_TRANSITION

    def is_deleted(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> bool:
        """Return whether it is gone."""
        found = self.described(call, wanted)
        if found is not None and found[self._status_member] != "Deleting":
            raise ResourceError(f"The {self.noun} {wanted.name} is {found[self._status_member]}.")
        return found is None

    def _in_service(self, call: ServiceCall, wanted: WantedResource) -> Mapping[str, Any] | None:
        """Return the description of what is in service, None while it is on its way.

        :raises ResourceError: It failed.
        """
        found = self.described(call, wanted)
        if found is None:
            raise ResourceError(f"The {self.noun} {wanted.name} does not exist any more.")
        status = str(found[self._status_member])
        if status == "InService":
            return found
        if status in _IN_TRANSITION:
            return None
        reason = found.get("FailureReason", "no reason is given")
        raise ResourceError(f"Resource {wanted.name} did not stabilize: it is {status}. {reason}")


class EndpointType(_AwaitedType):
    """``AWS::SageMaker::Endpoint``."""

    type_name = "AWS::SageMaker::Endpoint"
    noun = "Endpoint"
    name_property = "EndpointName"
    create_only = frozenset({"EndpointName"})
    #: The schema's ``writeOnlyProperties``, which only UpdateEndpoint has.
    not_sent = frozenset(
        {"ExcludeRetainedVariantProperties", "RetainAllVariantProperties", "RetainDeploymentConfig"}
    )
    allowed = frozenset({"DeploymentConfig", "EndpointConfigName", "EndpointName", *not_sent})
    required = ("EndpointConfigName",)

    def is_stable(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> bool:
        """Return whether it is in service on its config."""
        found = self._in_service(call, wanted)
        if found is None:
            return False
        config = wanted.properties["EndpointConfigName"]
        if found["EndpointConfigName"] != config:
            # SageMaker went back to the old config.
            reason = found.get("FailureReason", "no reason is given")
            raise ResourceError(
                f"The endpoint {wanted.name} serves {found['EndpointConfigName']}, not {config}. {reason}"
            )
        return True

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change its tags, and its config.

        A ``DeploymentConfig`` that changes alone counts for the next update (assumed).
        """
        super().update(call, physical_id, old, new)
        found = self.described(call, new)
        if found and found["EndpointConfigName"] == new.properties["EndpointConfigName"]:
            return
        members = {**new.properties, "EndpointName": new.name}
        request = request_of("sagemaker", "UpdateEndpoint", members, new.logical_id)
        call("sagemaker", "UpdateEndpoint", **request)


class InferenceComponentType(_AwaitedType):
    """``AWS::SageMaker::InferenceComponent``.

    Its schema has no ``createOnlyProperties``; as UpdateInferenceComponent has neither endpoint nor variant, their change is
    assumed to need replacement.
    """

    type_name = "AWS::SageMaker::InferenceComponent"
    noun = "InferenceComponent"
    name_property = "InferenceComponentName"
    create_only = frozenset({"InferenceComponentName", "EndpointName", "VariantName"})
    #: Of the endpoint that ``EndpointName`` names.
    not_sent = frozenset({"EndpointArn", "DeploymentConfig"})
    allowed = frozenset(
        {
            *("DeploymentConfig", "EndpointArn", "EndpointName", "InferenceComponentName", "RuntimeConfig"),
            *("Specification", "Specifications", "VariantName"),
        }
    )
    required = ("EndpointName",)
    attributes = (
        *("CreationTime", "FailureReason", "InferenceComponentStatus", "LastModifiedTime"),
        *("RuntimeConfig.CurrentCopyCount", "RuntimeConfig.DesiredCopyCount"),
        "Specification.Container.DeployedImage",
    )

    def is_stable(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> bool:
        """Return whether it is in service."""
        found = self._in_service(call, wanted)
        if found is not None and (reason := found.get("FailureReason")):
            raise ResourceError(f"The inference component {wanted.name} was not updated. {reason}")
        return found is not None

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change its tags, and what it runs."""
        super().update(call, physical_id, old, new)
        changed = {
            name: new.properties[name]
            for name in ("Specification", "Specifications", "RuntimeConfig")
            if name in new.properties and new.properties[name] != old.properties.get(name)
        }
        if not changed:
            return
        members = {**changed, "InferenceComponentName": new.name}
        if "DeploymentConfig" in new.properties:
            members["DeploymentConfig"] = new.properties["DeploymentConfig"]
        request = request_of("sagemaker", "UpdateInferenceComponent", members, new.logical_id)
        call("sagemaker", "UpdateInferenceComponent", **request)


class ModelPackageGroupType(SageMakerType):
    """``AWS::SageMaker::ModelPackageGroup``."""

    type_name = "AWS::SageMaker::ModelPackageGroup"
    noun = "ModelPackageGroup"
    name_property = "ModelPackageGroupName"
    create_only = frozenset({"ModelPackageGroupName", "ModelPackageGroupDescription"})
    not_sent = frozenset({"ModelPackageGroupPolicy"})
    allowed = frozenset({*create_only, *not_sent})
    required = ("ModelPackageGroupName",)
    has_system_tags = True
    attributes = ("CreationTime", "ModelPackageGroupStatus")

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Create it, with its policy."""
        arn = super().create(call, wanted)
        if "ModelPackageGroupPolicy" in wanted.properties:
            with undone_on_failure(lambda: self.delete(call, arn, wanted)):
                self._put_policy(call, wanted)
        return arn

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change its tags and its policy."""
        super().update(call, physical_id, old, new)
        member = "ModelPackageGroupPolicy"
        if old.properties.get(member) == new.properties.get(member):
            return
        if member in new.properties:
            self._put_policy(call, new)
        else:
            call("sagemaker", "DeleteModelPackageGroupPolicy", ModelPackageGroupName=new.name)

    def _put_policy(self, call: ServiceCall, wanted: WantedResource) -> None:
        policy = wanted.properties["ModelPackageGroupPolicy"]
        text = policy if isinstance(policy, str) else json.dumps(policy)
        call(
            "sagemaker",
            "PutModelPackageGroupPolicy",
            ModelPackageGroupName=wanted.name,
            ResourcePolicy=text,
        )
