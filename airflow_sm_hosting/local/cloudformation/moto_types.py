"""Resources of moto's types: what moto has of S3, ECR, SNS, SQS, EC2, … It takes the properties that it knows, and ignores the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_sm_hosting.local.cloudformation.client import ServiceCall
from airflow_sm_hosting.local.cloudformation.resource_type import ResourceError, ResourceType, WantedResource
from airflow_sm_hosting.local.moto_bridge import stack_resources
from airflow_sm_hosting.local.wire.tagging import tags_as_list

LOG = logging.getLogger(__name__)

#: Types whose tags moto keeps, as a list of keys and values.
_TAGGED = {
    *("AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::IAM::User"),
    *("AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::KMS::Key", "AWS::SSM::Parameter"),
}

#: Types whose resources wait for their deletion for days: API_ScheduleKeyDeletion.
_PENDING_DELETION = {"AWS::KMS::Key"}
# Types with names in lower case, also generated ones.
_LOWER_CASE = {"AWS::ECR::Repository", "AWS::S3::Bucket"}


def _remove_targets(call: ServiceCall, name: str) -> None:
    """Remove the targets of a rule of EventBridge, without which it can be deleted."""
    rule = {"Rule": name.rpartition("/")[2]}
    targets = call("events", "ListTargetsByRule", **rule)["Targets"]
    if targets:
        call("events", "RemoveTargets", **rule, Ids=[one["Id"] for one in targets])


#: What CloudFormation does before it deletes a resource.
_BEFORE_DELETION: dict[str, Callable[[ServiceCall, str], None]] = {"AWS::Events::Rule": _remove_targets}


class MotoType(ResourceType):
    """One of moto's types.

    :param type_name: Its name.
    :param region: The Region.
    :param stack_id: The id of the stack.
    """

    def __init__(self, type_name: str, region: str, stack_id: str) -> None:
        self.type_name = type_name
        self._region = region
        self._stack_id = stack_id
        self.name_property = stack_resources.name_property(type_name)
        self.is_taggable = type_name in _TAGGED

    def generated_name(self, stack_name: str, logical_id: str) -> str:
        """Return a name."""
        name = stack_resources.moto_name(self.type_name, stack_name, logical_id)
        return name.lower() if self.type_name in _LOWER_CASE else name

    def needs_replacement(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Return whether the name changes; what else needs replacement, moto does not know."""
        return self.name_property is not None and old.get(self.name_property) != new.get(self.name_property)

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Create it."""
        try:
            made = stack_resources.create_resource(
                *(self.type_name, wanted.name, self._properties(wanted), self._region),
                *(wanted.logical_id, self._stack_id),
            )
        except Exception as error:
            raise self._failure(wanted, error) from error
        if made is None:
            raise ResourceError(f"moto, which answers for {self.type_name} here, created nothing.")
        physical_id = stack_resources.physical_id(made)
        if self.type_name == "AWS::SNS::Topic" and wanted.tags:
            # Which moto does not take from a template.
            call("sns", "TagResource", ResourceArn=physical_id, Tags=tags_as_list(wanted.tags))
        return physical_id

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Update it, as far as moto can."""
        if not stack_resources.can_update(self.type_name):
            raise ResourceError(f"moto, which answers for {self.type_name} here, cannot update it.")
        try:
            made = stack_resources.update_resource(
                self.type_name, self._found(physical_id), old.name, self._properties(new), self._region
            )
        except ResourceError:
            raise
        except Exception as error:
            raise self._failure(new, error) from error
        if made is not None and stack_resources.physical_id(made) != physical_id:
            raise ResourceError(f"moto, which answers for {self.type_name} here, replaced it in place.")

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it."""
        found = stack_resources.find_resource(self.type_name, physical_id, self._region)
        if found is None:
            return
        if not stack_resources.can_delete(self.type_name):
            raise ResourceError(f"moto, which answers for {self.type_name} here, cannot delete it.")
        if before := _BEFORE_DELETION.get(self.type_name):
            before(call, physical_id)
        try:
            stack_resources.delete_resource(self.type_name, found, wanted.properties, self._region)
        except Exception as error:
            raise self._failure(wanted, error) from error

    def is_deleted(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> bool:
        """Return that it is gone."""
        if self.type_name in _PENDING_DELETION:
            return True
        if stack_resources.find_resource(self.type_name, physical_id, self._region) is not None:
            raise ResourceError(f"{self.type_name} {physical_id} is still there: moto did not delete it.")
        return True

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return an attribute of moto's object."""
        return stack_resources.attribute_of(self._found(physical_id), name)

    def _found(self, physical_id: str) -> Any:
        found = stack_resources.find_resource(self.type_name, physical_id, self._region)
        if found is None:
            raise ResourceError(f"{self.type_name} {physical_id} does not exist any more.")
        return found

    def _properties(self, wanted: WantedResource) -> dict[str, Any]:
        properties = dict(wanted.properties)
        if self.name_property:
            properties[self.name_property] = wanted.name
        if wanted.tags:
            properties["Tags"] = tags_as_list(wanted.tags)
        return properties

    def _failure(self, wanted: WantedResource, error: Exception) -> ResourceError:
        LOG.info("moto refused %s %s", self.type_name, wanted.logical_id, exc_info=error)
        said = getattr(error, "message", None) or str(error) or type(error).__name__
        if isinstance(error, KeyError):
            said = f"the property {said} is missing, or refers to what does not exist"
        return ResourceError(f"{self.type_name} {wanted.name}: {said}")
