"""Stacks of a local AWS: created, updated and deleted until they are in a state that stays."""

from __future__ import annotations

import json
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import wait_until

CAPABILITIES = ["CAPABILITY_NAMED_IAM"]


class Stacks:
    """The stacks of a local AWS.

    :param aws: The local AWS.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.client: Any = aws.client("cloudformation")

    def create(self, name: str, template: dict[str, Any] | str, **more: Any) -> str:
        """Create a stack, and return its status when it stays."""
        created = self.client.create_stack(
            StackName=name, TemplateBody=text_of(template), Capabilities=CAPABILITIES, **more
        )
        return self.settled(created["StackId"])

    def update(self, name: str, template: dict[str, Any] | str, **more: Any) -> str:
        """Update a stack, and return its status when it stays."""
        self.client.update_stack(
            StackName=name, TemplateBody=text_of(template), Capabilities=CAPABILITIES, **more
        )
        return self.settled(name)

    def delete(self, name: str, **more: Any) -> str:
        """Delete a stack, and return its status when it stays."""
        stack_id = self.described(name)["StackId"]
        self.client.delete_stack(StackName=stack_id, **more)
        return self.settled(stack_id)

    def described(self, name: str) -> dict[str, Any]:
        """Return a stack by name or id."""
        found: dict[str, Any] = self.client.describe_stacks(StackName=name)["Stacks"][0]
        return found

    def settled(self, name: str) -> str:
        """Return the status of a stack when nothing is in progress."""

        def status() -> str | None:
            found = str(self.described(name)["StackStatus"])
            return None if found.endswith("_IN_PROGRESS") else found

        return str(wait_until(status))

    def outputs(self, name: str) -> dict[str, str]:
        """Return the outputs of a stack."""
        found = self.described(name).get("Outputs", [])
        return {one["OutputKey"]: one["OutputValue"] for one in found}

    def physical_ids(self, name: str) -> dict[str, str]:
        """Return the physical ids of the resources of a stack."""
        found = self.client.describe_stack_resources(StackName=name)["StackResources"]
        return {one["LogicalResourceId"]: one.get("PhysicalResourceId", "") for one in found}

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return what happened to a stack: logical ids and statuses, the oldest first."""
        return [(one["LogicalResourceId"], one["ResourceStatus"]) for one in self._events(name)]

    def reasons(self, name: str) -> str:
        """Return why resources failed."""
        return "\n".join(
            one["ResourceStatusReason"]
            for one in self._events(name)
            if one["ResourceStatus"].endswith("_FAILED") and "ResourceStatusReason" in one
        )

    def _events(self, name: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=name)
        return [event for page in pages for event in page["StackEvents"]][::-1]


def text_of(template: dict[str, Any] | str) -> str:
    """Return the text of a template."""
    return template if isinstance(template, str) else json.dumps(template)
