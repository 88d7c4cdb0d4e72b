"""A stack: what it is made of, what happened to it, and what is described of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudformation.parameters import MASK
from airflow_sm_hosting.local.cloudformation.resource_type import WantedResource
from airflow_sm_hosting.local.cloudformation.template import Template, parse_template
from airflow_sm_hosting.local.wire.tagging import tags_as_list

STACK_TYPE = "AWS::CloudFormation::Stack"
RESTARTED = "The local AWS was restarted."
#: The end of a stack whose work ended with the server.
_AFTER_RESTART = {
    "CREATE_IN_PROGRESS": "CREATE_FAILED",
    "ROLLBACK_IN_PROGRESS": "ROLLBACK_FAILED",
    "UPDATE_IN_PROGRESS": "UPDATE_FAILED",
    "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_IN_PROGRESS": "UPDATE_ROLLBACK_FAILED",
    "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS": "UPDATE_ROLLBACK_COMPLETE",
    "DELETE_IN_PROGRESS": "DELETE_FAILED",
}


@dataclass
class StackResource:
    """A resource of a stack.

    :param type_name: Its type.
    :param wanted: What the stack wants it to be.
    :param depends_on: The logical ids of the resources that it needs.
    :param deletion_policy: What happens to it when it is deleted.
    :param replace_policy: What happens to it when it is replaced.
    :param physical_id: What ``Ref`` is; None before it was created.
    """

    type_name: str
    wanted: WantedResource
    depends_on: list[str]
    deletion_policy: str
    replace_policy: str
    updated: datetime
    physical_id: str | None = None
    status: str = "CREATE_IN_PROGRESS"
    reason: str | None = None

    @property
    def logical_id(self) -> str:
        """Its name in the template."""
        return self.wanted.logical_id


@dataclass(frozen=True)
class StackInput:
    """What a stack is made from.

    :param template: The template.
    :param values: The values of its parameters, as they were given.
    :param tags: The tags of the stack.
    """

    template: Template
    values: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Stack:
    """A stack.

    :param name: Its name.
    :param stack_id: Its ARN.
    :param clock: The clock.
    :param source: What it is made from, or was at last made from with success.
    """

    name: str
    stack_id: str
    clock: Clock
    source: StackInput
    created: datetime
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    updated: datetime | None = None
    deleted: datetime | None = None
    resources: dict[str, StackResource] = field(default_factory=dict)
    outputs: list[dict[str, str]] = field(default_factory=list)
    parameters: list[dict[str, str]] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    #: The values of ``NoEcho`` parameters, which no event shows.
    masked: tuple[str, ...] = ()
    #: Which work is the current one: an older one stops.
    work: int = 0
    #: Held by each step of a work.
    stepping: threading.RLock = field(default_factory=threading.RLock)
    #: What undoes an update that could not be rolled back, for ContinueUpdateRollback.
    undo: Any = None

    @property
    def exports(self) -> dict[str, str]:
        """What it exports, by name."""
        return {one["ExportName"]: one["OutputValue"] for one in self.outputs if "ExportName" in one}

    @property
    def in_progress(self) -> bool:
        """Whether something is done with it now."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def enter(self, status: str, reason: str | None = None) -> None:
        """Change its status."""
        self.status, self.reason = status, reason
        if status != "CREATE_IN_PROGRESS" and status.startswith(("UPDATE", "ROLLBACK")):
            self.updated = self.clock.now()
        if status == "DELETE_COMPLETE":
            self.deleted = self.clock.now()
        self._event(self.name, self.stack_id, STACK_TYPE, status, reason)

    def mark(
        self, resource: StackResource, status: str, reason: str | None = None, *, detail: bool = True
    ) -> None:
        """Change the status of a resource.

        :param detail: Whether the event has the properties.
        """
        resource.status, resource.reason, resource.updated = status, reason, self.clock.now()
        properties = dict(resource.wanted.properties) if detail else None
        self._event(
            *(resource.logical_id, resource.physical_id or "", resource.type_name, status, reason, properties)
        )

    def _event(
        self,
        logical_id: str,
        physical_id: str,
        type_name: str,
        status: str,
        reason: str | None,
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        # One after the other, for those who sort them by time.
        now = self.clock.now()
        if self.events:
            now = max(now, self.events[-1]["Timestamp"] + timedelta(milliseconds=1))
        event = {
            "StackId": self.stack_id,
            "StackName": self.name,
            "EventId": str(uuid4()),
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": type_name,
            "Timestamp": now,
            "ResourceStatus": status,
        }
        if reason:
            event["ResourceStatusReason"] = reason
        if properties is not None:
            event["ResourceProperties"] = self._masked(json.dumps(properties, default=str))
        self.events.append(event)

    def _masked(self, text: str) -> str:
        for value in self.masked:
            text = text.replace(value, MASK)
        return text

    # Descriptions

    def description(self) -> dict[str, Any]:
        """Return it as DescribeStacks does."""
        found = {
            "StackId": self.stack_id,
            "StackName": self.name,
            "Description": self.source.template.description,
            "Parameters": self.parameters,
            "CreationTime": self.created,
            "DeletionTime": self.deleted,
            "LastUpdatedTime": self.updated,
            "StackStatus": self.status,
            "StackStatusReason": self.reason,
            "DisableRollback": bool(self.settings.get("DisableRollback", False)),
            "NotificationARNs": self.settings.get("NotificationARNs", []),
            "Capabilities": self.settings.get("Capabilities", []),
            "Outputs": self.outputs,
            "RoleARN": self.settings.get("RoleARN"),
            "TimeoutInMinutes": self.settings.get("TimeoutInMinutes"),
            "Tags": tags_as_list(dict(self.source.tags)),
            "EnableTerminationProtection": bool(self.settings.get("EnableTerminationProtection", False)),
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
        return {name: value for name, value in found.items() if value is not None}

    def summary(self) -> dict[str, Any]:
        """Return it as ListStacks does."""
        members = {
            *("StackId", "StackName", "CreationTime", "DeletionTime", "LastUpdatedTime", "StackStatus"),
            *("StackStatusReason", "DriftInformation"),
        }
        found = {name: value for name, value in self.description().items() if name in members}
        if self.source.template.description:
            found["TemplateDescription"] = self.source.template.description
        return found

    def resource_description(self, resource: StackResource, updated: str) -> dict[str, Any]:
        """Return a resource as DescribeStackResources does.

        :param updated: The name of the member with the time of the last change.
        """
        found = {
            "StackName": self.name,
            "StackId": self.stack_id,
            "LogicalResourceId": resource.logical_id,
            "PhysicalResourceId": resource.physical_id,
            "ResourceType": resource.type_name,
            updated: resource.updated,
            "ResourceStatus": resource.status,
            "ResourceStatusReason": resource.reason,
            "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
        }
        return {name: value for name, value in found.items() if value is not None}

    # Saved state

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart."""
        plain = ("name", "stack_id", "created", "status", "reason", "updated", "deleted", "outputs")
        more = ("parameters", "events", "settings")
        return {
            **{name: getattr(self, name) for name in (*plain, *more)},
            "imports": sorted(self.imports),
            "template": self.source.template.text,
            "values": dict(self.source.values),
            "tags": dict(self.source.tags),
            "resources": [asdict(one) for one in list(self.resources.values())],
        }

    @classmethod
    def load(cls, saved: Mapping[str, Any], clock: Clock) -> Stack:
        """Restore a saved stack; one with work in progress has failed."""
        plain = {
            name: value
            for name, value in saved.items()
            if name not in ("template", "values", "tags", "resources", "imports")
        }
        text = saved["template"]
        source = StackInput(parse_template(text) if text else Template(""), saved["values"], saved["tags"])
        stack = cls(clock=clock, source=source, imports=set(saved["imports"]), **plain)
        for one in saved["resources"]:
            resource = StackResource(**{**one, "wanted": WantedResource(**one["wanted"])})
            stack.resources[resource.logical_id] = resource
            if resource.status.endswith("_IN_PROGRESS"):
                failed = resource.status.replace("_IN_PROGRESS", "_FAILED")
                stack.mark(resource, failed, RESTARTED)
        if stack.status in _AFTER_RESTART:
            stack.enter(_AFTER_RESTART[stack.status], RESTARTED)
        return stack


def deletion_order(resources: Iterable[StackResource]) -> list[StackResource]:
    """Return resources in the order in which they are deleted: each before those that it needs."""
    left = {one.logical_id: one for one in resources}
    order: list[StackResource] = []
    while left:
        needed = {name for one in left.values() for name in one.depends_on if name != one.logical_id}
        free = [one for name, one in left.items() if name not in needed] or list(left.values())
        for one in reversed(free):
            order.append(left.pop(one.logical_id))
    return order
