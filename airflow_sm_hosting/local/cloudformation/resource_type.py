"""What a type of resources is to a stack: how it is created, awaited, updated and deleted."""

from __future__ import annotations

import secrets
import string
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from uuid import uuid4

from airflow_sm_hosting.local.cloudformation.client import ServiceCall
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.service_model.coercion import typed
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.service_model.validation import violations

#: How long the random part of a generated name is.
RANDOM_LENGTH = 12


class ResourceError(Exception):
    """A resource cannot be created, updated or deleted; the message is the reason that the stack gives."""


@dataclass(frozen=True)
class WantedResource:
    """A resource as a stack wants it.

    :param logical_id: Its name in the template.
    :param name: The name of the resource itself: its own, or a generated one.
    :param properties: Its properties, without functions and tags.
    :param tags: Its tags and those of the stack.
    :param system_tags: The tags by which CloudFormation marks resources of a stack.
    """

    logical_id: str
    name: str
    properties: Mapping[str, Any]
    tags: Mapping[str, str] = field(default_factory=dict)
    system_tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_tags(self) -> dict[str, str]:
        """All tags that it is created with."""
        return {**self.tags, **self.system_tags}


@contextmanager
def undone_on_failure(undo: Callable[[], object]) -> Iterator[None]:
    """Undo what a resource was created with so far, where a later step of its creation fails."""
    try:
        yield
    except (AwsError, ResourceError):
        undo()
        raise


class ResourceType(ABC):
    """A type of resources.

    :ivar type_name: ``AWS::SageMaker::Model``.
    :ivar name_property: The property with the resource's own name, None where there is none.
    :cvar create_only: The properties that cannot be changed: another value needs another resource. They are the
        ``createOnlyProperties`` of the type's schema, which its page has as "Update requires: Replacement".
    :cvar required: Properties that must be there.
    :cvar allowed: All properties, None where the type itself refuses unknown ones.
    :ivar is_taggable: Whether it has tags.
    :cvar is_unique_by_name: Whether two resources cannot have the same name.
    :cvar has_system_tags: Whether CloudFormation marks it: ``cloudFormationSystemTags`` of the type's schema.
    """

    type_name: str
    name_property: str | None = None
    create_only: ClassVar[frozenset[str]] = frozenset()
    allowed: ClassVar[frozenset[str] | None] = None
    required: ClassVar[tuple[str, ...]] = ()
    is_taggable: bool = True
    has_system_tags: ClassVar[bool] = False
    is_unique_by_name: ClassVar[bool] = True

    def check(self, wanted: WantedResource) -> None:
        """Check the properties of a resource before anything is done with it.

        :raises ResourceError: They are not allowed.
        """
        found = set(wanted.properties)
        problems = []
        if self.allowed is not None:
            problems += [f"extraneous key [{name}] is not permitted" for name in sorted(found - self.allowed)]
        problems += [f"required key [{name}] not found" for name in self.required if name not in found]
        if problems:
            raise _invalid(wanted.logical_id, problems)

    def generated_name(self, stack_name: str, logical_id: str) -> str:
        """Return a name for a resource without one."""
        return generated_name(stack_name, logical_id)

    def needs_replacement(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        """Return whether a change of properties needs another resource."""
        return any(old.get(name) != new.get(name) for name in self.create_only)

    @abstractmethod
    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Create a resource, and return its physical id, which ``Ref`` is.

        :raises AwsError: The service refuses it.
        :raises ResourceError: It cannot be created.
        """

    def is_stable(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> bool:
        """Return whether a resource that was created or updated is ready.

        :raises ResourceError: It failed.
        """
        return True

    @abstractmethod
    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change a resource in place."""

    def is_free(self, call: ServiceCall, physical_id: str) -> bool:
        """Return whether a resource can be changed or deleted now."""
        return True

    @abstractmethod
    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete a resource; it may be gone."""

    def is_deleted(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> bool:
        """Return whether a resource that was deleted is gone.

        :raises ResourceError: It cannot be deleted.
        """
        return True

    def reference(self, physical_id: str, wanted: WantedResource) -> str:
        """Return what ``Ref`` of a resource is."""
        return physical_id

    @abstractmethod
    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return an attribute.

        :raises KeyError: There is none of that name.
        """


def generated_name(stack_name: str, logical_id: str) -> str:
    """Return a name as CloudFormation makes them: stack, logical id, and what nobody else has.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-name.html
    """
    return f"{stack_name}-{logical_id}-{random_part(string.ascii_uppercase + string.digits)}"


def random_part(alphabet: str) -> str:
    """Return the random part of a generated name."""
    return "".join(secrets.choice(alphabet) for _ in range(RANDOM_LENGTH))


def request_of(service: str, operation: str, members: Mapping[str, Any], logical_id: str) -> dict[str, Any]:
    """Return the members of a request of the properties of a resource, with the types of the service's model.

    CloudFormation takes strings for numbers and booleans.

    :raises ResourceError: A member is unknown, missing or of another type; all other mistakes are the service's to refuse.
    """
    shape = input_shape(service, operation)
    request: dict[str, Any] = typed(shape, members)
    problems = []
    for found in violations(shape, request):
        path = f"#/{found.path.replace('.', '/')}"
        match found.kind:
            case "unknown":
                front, _, key = found.path.rpartition(".")
                problems.append(
                    f"{('#/' + front.replace('.', '/')) if front else '#'}: extraneous key [{key}] is not permitted"
                )
            case "type":
                problems.append(f"{path}: {found.constraint}")
            case "required":
                problems.append(f"{path}: required key not found")
    if problems:
        raise _invalid(logical_id, problems)
    return request


def changed_tags(old: WantedResource, new: WantedResource) -> tuple[dict[str, str], list[str]]:
    """Return the tags to add, and the keys of those to remove."""
    added = {key: value for key, value in new.tags.items() if old.tags.get(key) != value}
    return added, [key for key in old.tags if key not in new.tags]


def describing(said: AwsError) -> ResourceError:
    """Return the reason that a stack gives for a refusal of a service.

    The frame is that of AWS's reasons, as public issues quote it; which code stands for which refusal is assumed.
    """
    codes = {
        "ResourceLimitExceeded": "ServiceLimitExceeded",
        "ResourceNotFoundException": "NotFound",
        "ResourceInUse": "ResourceConflict",
    }
    code = codes.get(said.code, "AlreadyExists" if "already exist" in said.message else "InvalidRequest")
    return ResourceError(
        f'Resource handler returned message: "{said.message}" (RequestToken: {uuid4()}, HandlerErrorCode: {code})'
    )


def _invalid(logical_id: str, problems: Sequence[str]) -> ResourceError:
    said = ", ".join(problem if problem.startswith("#") else f"#: {problem}" for problem in problems)
    return ResourceError(f"Properties validation failed for resource {logical_id} with message:\n{said}")
