"""Change sets: what an update would change, found without changing anything.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeChangeSet.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_sm_hosting.local.cloudformation.intrinsics import Resolver, Surroundings
from airflow_sm_hosting.local.cloudformation.resource_type import ResourceError, ResourceType, WantedResource
from airflow_sm_hosting.local.cloudformation.stack import Stack, StackInput
from airflow_sm_hosting.local.cloudformation.stack_work import wanted_resource
from airflow_sm_hosting.local.wire.errors import AwsError

#: The value of what is known when the change set was executed.
UNKNOWN = "{{changeSet:KNOWN_AFTER_APPLY}}"
NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


@dataclass
class ChangeSet:
    """A change set.

    :param name: Its name.
    :param arn: Its ARN.
    :param kind: ``CREATE`` or ``UPDATE``.
    :param source: What the stack would be made from.
    :param changes: What would change, as DescribeChangeSet has it.
    :param settings: The other members of the request that are the stack's after its execution.
    """

    name: str
    arn: str
    kind: str
    source: StackInput
    changes: list[dict[str, Any]]
    created: datetime
    settings: dict[str, Any]
    parameters: list[dict[str, str]]
    description: str | None = None
    status: str = "CREATE_COMPLETE"
    reason: str | None = None
    execution: str = "AVAILABLE"


def planned_changes(
    stack: Stack,
    source: StackInput,
    around: Surroundings,
    kind_of: Callable[[str], ResourceType | None],
    attribute: Callable[[str, str], Any],
) -> list[dict[str, Any]]:
    """Return what would change if a stack were made from a source.

    :param around: What the template refers to.
    :param kind_of: Returns a type by its name.
    :param attribute: Returns an attribute of a resource of the stack.
    """
    renewed: set[str] = set()

    def reference(logical_id: str) -> str:
        found = stack.resources.get(logical_id)
        return UNKNOWN if found is None or logical_id in renewed else str(found.physical_id)

    def known_attribute(logical_id: str, name: str) -> Any:
        if logical_id not in stack.resources or logical_id in renewed:
            return UNKNOWN
        return attribute(logical_id, name)

    resolver = Resolver(source.template, around, reference, known_attribute)
    changes = []
    order = resolver.creation_order()
    for logical_id in order:
        type_name = source.template.resources[logical_id].type_name
        old, kind = stack.resources.get(logical_id), kind_of(type_name)
        if old is None or old.physical_id is None or old.status == "CREATE_FAILED":
            changes.append(_change("Add", logical_id, type_name))
            continue
        change = _modification(stack, source, resolver, logical_id, kind)
        if change is not None:
            changes.append(change)
            if change["ResourceChange"]["Replacement"] == "True":
                renewed.add(logical_id)
    for logical_id, resource in list(stack.resources.items()):
        if logical_id not in order:
            changes.append(_change("Remove", logical_id, resource.type_name, resource.physical_id))
    return changes


def _modification(
    stack: Stack, source: StackInput, resolver: Resolver, logical_id: str, kind: ResourceType | None
) -> dict[str, Any] | None:
    """Return how a resource would be modified, None where it would not."""
    old = stack.resources[logical_id]
    if kind is None:
        return _change("Modify", logical_id, old.type_name, old.physical_id, replacement="Conditional")
    try:
        new: WantedResource = wanted_resource(
            resolver, source, logical_id, kind, old.wanted, (stack.name, stack.stack_id)
        )
    except (AwsError, ResourceError):
        # A function of what is not known yet.
        return _change("Modify", logical_id, old.type_name, old.physical_id, replacement="Conditional")
    changed = sorted(
        name
        for name in {*old.wanted.properties, *new.properties}
        if old.wanted.properties.get(name) != new.properties.get(name)
    )
    declared = source.template.resources[logical_id]
    scope = [
        *(["Properties"] if changed else []),
        *(["Tags"] if old.wanted.tags != new.tags else []),
        *(["DeletionPolicy"] if old.deletion_policy != declared.deletion_policy else []),
        *(["UpdateReplacePolicy"] if old.replace_policy != declared.replace_policy else []),
    ]
    if not scope and old.status == "UPDATE_FAILED":
        # It may have been changed in part.
        scope = ["Properties"]
    if not scope:
        return None
    replaces = kind.needs_replacement(old.wanted.properties, new.properties)
    change = _change(
        *("Modify", logical_id, old.type_name, old.physical_id),
        replacement="True" if replaces else "False",
    )
    change["ResourceChange"]["Scope"] = scope
    change["ResourceChange"]["Details"] = [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": name,
                "RequiresRecreation": "Always" if name in kind.create_only else "Never",
            },
            "Evaluation": "Dynamic" if UNKNOWN in str(new.properties.get(name)) else "Static",
            "ChangeSource": "DirectModification",
        }
        for name in changed
    ]
    return change


def _change(
    action: str,
    logical_id: str,
    type_name: str,
    physical_id: str | None = None,
    replacement: str | None = None,
) -> dict[str, Any]:
    change: dict[str, Any] = {
        "Action": action,
        "LogicalResourceId": logical_id,
        "ResourceType": type_name,
        "Scope": [],
        "Details": [],
    }
    if physical_id is not None:
        change["PhysicalResourceId"] = physical_id
    if replacement is not None:
        change["Replacement"] = replacement
    return {"Type": "Resource", "ResourceChange": change}
