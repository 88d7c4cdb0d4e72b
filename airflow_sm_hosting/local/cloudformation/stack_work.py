"""The work on a stack: create, update, roll back, clean up and delete its resources, one after the other.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-updating-stacks-update-behaviors.html and
…/stack-failure-options.html. AWS works on resources that do not need each other at the same time; here one waits for the other.

Each work is a generator: where it has to wait for a resource it yields, and it is continued by the clock.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_hosting.local.cloudformation.client import ServiceCall
from airflow_sm_hosting.local.cloudformation.intrinsics import Resolver, Surroundings
from airflow_sm_hosting.local.cloudformation.parameters import secret_values, shown_values
from airflow_sm_hosting.local.cloudformation.resource_type import (
    ResourceError,
    ResourceType,
    WantedResource,
    describing,
)
from airflow_sm_hosting.local.cloudformation.stack import Stack, StackInput, StackResource, deletion_order
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.tagging import tags_as_dict

LOG = logging.getLogger(__name__)

#: A work that waits where it yields.
Work = Generator[None, None, None]
_KEPT = ("Retain", "RetainExceptOnCreate")


class StackFailure(Exception):
    """The work on a stack failed; the message is the reason that the stack gives."""


@dataclass(frozen=True)
class _Undo:
    """How a change of a resource is undone.

    :param logical_id: The resource.
    :param before: What it was, None where it did not exist.
    :param after: What it became, or would have become.
    """

    logical_id: str
    before: StackResource | None
    after: StackResource

    @property
    def is_in_place(self) -> bool:
        """Whether it is the same resource before and after."""
        return self.before is not None and self.before.physical_id == self.after.physical_id


@dataclass(frozen=True)
class StackServices:
    """What the work on stacks needs of a Region.

    :param call: Calls the services.
    :param resource_type: Returns a type by its name and the id of the stack.
    :param around: Returns what a stack's template refers to, outside of its resources.
    :param check_exports: Raises an error where a stack may not have these exports.
    """

    call: ServiceCall
    resource_type: Callable[[str, str], ResourceType | None]
    around: Callable[[Stack, StackInput], Surroundings]
    check_exports: Callable[[Stack, Mapping[str, str]], None]


class StackWork:
    """The work on one stack, whose status says already which work it is.

    :param stack: The stack.
    :param region: Its Region.
    """

    def __init__(self, stack: Stack, region: StackServices) -> None:
        self._stack = stack
        self._region = region
        self._undo: list[_Undo] = []
        self._deadline: datetime | None = None

    # The works

    def create(self, source: StackInput) -> Work:
        """Create a stack."""
        stack = self._stack
        if minutes := stack.settings.get("TimeoutInMinutes"):
            self._deadline = stack.clock.now() + timedelta(minutes=int(minutes))
        self._set_source(source)
        try:
            yield from self._apply(source)
        except StackFailure as failure:
            self._deadline = None
            yield from self._after_failed_creation(str(failure))
            return
        stack.enter("CREATE_COMPLETE")

    def update(self, source: StackInput) -> Work:
        """Update a stack."""
        stack = self._stack
        before = dict(stack.resources)
        try:
            yield from self._apply(source)
        except StackFailure as failure:
            if stack.settings.get("DisableRollback"):
                self._set_source(source)
                stack.enter("UPDATE_FAILED", str(failure))
                return
            yield from self._roll_back(str(failure))
            return
        self._set_source(source)
        stack.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
        yield from self._clean_up(self._outdated(before))
        stack.enter("UPDATE_COMPLETE")

    def delete(self, retained: Sequence[str] = ()) -> Work:
        """Delete a stack.

        :param retained: Logical ids of resources that are kept.
        """
        stack = self._stack
        # A step of the work before may have ended since the request.
        stack.status = "DELETE_IN_PROGRESS"
        failed = yield from self._delete_all(lambda one: one.deletion_policy in _KEPT, retained)
        if failed:
            stack.enter(
                "DELETE_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            )
            return
        stack.outputs, stack.imports = [], set()
        stack.enter("DELETE_COMPLETE")

    def continue_rollback(self, skipped: Sequence[str]) -> Work:
        """Go on with the rollback of an update that failed.

        :param skipped: Logical ids of resources that are left as they are.
        """
        undo: list[_Undo] = self._stack.undo or []
        self._undo = [one for one in undo if one.logical_id not in skipped]
        yield from self._roll_back("User Initiated")

    # Their parts

    def _after_failed_creation(self, reason: str) -> Work:
        stack = self._stack
        on_failure = stack.settings.get("OnFailure") or (
            "DO_NOTHING" if stack.settings.get("DisableRollback") else "ROLLBACK"
        )
        if on_failure == "DO_NOTHING":
            stack.enter("CREATE_FAILED", reason)
            return
        word = "Delete" if on_failure == "DELETE" else "Rollback"
        stack.enter(
            "DELETE_IN_PROGRESS" if on_failure == "DELETE" else "ROLLBACK_IN_PROGRESS",
            f"{reason}{word} requested by user.",
        )
        failed = yield from self._delete_all(lambda one: one.deletion_policy == "Retain", ())
        stack.outputs = []
        front = "DELETE" if on_failure == "DELETE" else "ROLLBACK"
        if failed:
            stack.enter(
                f"{front}_FAILED", f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            )
        else:
            stack.enter(f"{front}_COMPLETE")

    def _roll_back(self, reason: str) -> Work:
        """Undo the changes of an update, the last one first."""
        stack = self._stack
        stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        trash = []
        while self._undo:
            undo = self._undo[-1]
            if undo.before is None:
                stack.resources.pop(undo.logical_id, None)
                trash.append(undo.after)
            elif undo.is_in_place:
                try:
                    yield from self._update(undo.after, undo.before.wanted)
                except StackFailure as failure:
                    stack.undo = self._undo
                    stack.enter("UPDATE_ROLLBACK_FAILED", str(failure))
                    return
                stack.resources[undo.logical_id] = replace(undo.before, status="UPDATE_COMPLETE")
            else:
                stack.resources[undo.logical_id] = undo.before
                trash.append(undo.after)
            self._undo.pop()
        stack.undo = None
        stack.enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        yield from self._clean_up(trash)
        stack.enter("UPDATE_ROLLBACK_COMPLETE")

    def _outdated(self, before: Mapping[str, StackResource]) -> list[StackResource]:
        """Return the resources that are deleted after an update: replaced ones, and those that are no longer in the template."""
        replaced = [undo.before for undo in self._undo if undo.before is not None and not undo.is_in_place]
        removed = [one for name, one in before.items() if name not in self._wanted_ids]
        kept = {id(one) for one in replaced if one.replace_policy in _KEPT}
        kept |= {id(one) for one in removed if one.deletion_policy in _KEPT}
        for one in (*replaced, *removed):
            if id(one) in kept:
                self._stack.mark(one, "DELETE_SKIPPED", detail=False)
        for one in removed:
            self._stack.resources.pop(one.logical_id, None)
        return [one for one in (*replaced, *removed) if id(one) not in kept]

    def _clean_up(self, trash: Sequence[StackResource]) -> Work:
        """Delete what is no longer needed; a failure is told and does not count."""
        for one in deletion_order(trash):
            with self._failing_alone(one, "DELETE_FAILED"):
                yield from self._delete(one)

    def _delete_all(
        self, is_kept: Callable[[StackResource], bool], retained: Sequence[str]
    ) -> Generator[None, None, list[str]]:
        """Delete all resources, and return the logical ids of those that could not be deleted."""
        stack, failed = self._stack, []
        needed: set[str] = set()
        for one in deletion_order(stack.resources.values()):
            if is_kept(one) or one.logical_id in retained:
                stack.mark(one, "DELETE_SKIPPED", detail=False)
            elif one.logical_id in needed:
                # What needs it is still there.
                needed |= set(one.depends_on)
                continue
            else:
                with self._failing_alone(one, "DELETE_FAILED"):
                    yield from self._delete(one)
            if one.status == "DELETE_FAILED":
                failed.append(one.logical_id)
                needed |= set(one.depends_on)
            else:
                stack.resources.pop(one.logical_id, None)
        return failed

    # The resources

    def _apply(self, source: StackInput) -> Work:
        """Create and update resources until they are what a source wants.

        :raises StackFailure: One cannot be, or an output.
        """
        stack = self._stack
        stack.masked = (*stack.masked, *secret_values(source.template, source.values))
        try:
            resolver = self.resolver(source)
            order = resolver.creation_order()
        except AwsError as error:
            raise StackFailure(error.message) from error
        self._wanted_ids = set(order)
        self._refuse_unknown(source, order)
        for logical_id in order:
            yield from self._apply_one(resolver, source, logical_id)
        self._set_outputs(resolver)

    def _refuse_unknown(self, source: StackInput, order: Sequence[str]) -> None:
        """Fail before anything is created, where a type is unknown."""
        unknown = []
        for logical_id in order:
            declared = source.template.resources[logical_id]
            if self._region.resource_type(declared.type_name, self._stack.stack_id) is None:
                resource = StackResource(
                    *(declared.type_name, WantedResource(logical_id, "", {}), [], "Delete", "Delete"),
                    self._stack.clock.now(),
                )
                reason = f"The local AWS does not have the resource type {declared.type_name}."
                self._stack.mark(resource, "CREATE_FAILED", reason, detail=False)
                unknown.append(logical_id)
        if unknown:
            raise _failure("create", unknown)

    def _apply_one(self, resolver: Resolver, source: StackInput, logical_id: str) -> Work:
        stack = self._stack
        declared = source.template.resources[logical_id]
        old = stack.resources.get(logical_id)
        if old is not None and (old.physical_id is None or old.status == "CREATE_FAILED"):
            # Left by a stack that was not rolled back.
            yield from self._delete(old)
            old = None
        kind = self._kind(declared.type_name)
        new = StackResource(
            declared.type_name,
            WantedResource(logical_id, "", {}),
            resolver.dependencies(logical_id),
            declared.deletion_policy,
            declared.replace_policy,
            stack.clock.now(),
        )
        verb = "create" if old is None else "update"
        if old is None:
            self._undo.append(_Undo(logical_id, None, new))
            stack.resources[logical_id] = new
        else:
            # Until it is known to be another one.
            new.physical_id = old.physical_id
        replaces = False
        with self._failing(new, verb):
            if old is not None and old.type_name != declared.type_name:
                raise ResourceError(
                    "Update of resource type is not permitted. The new template modifies resource type of the following "
                    f"resources: [{logical_id}]"
                )
            new.wanted = self._wanted(resolver, source, logical_id, kind, old)
            if old is not None and kind.needs_replacement(old.wanted.properties, new.wanted.properties):
                replaces = True
                self._check_replacement(kind, old, new)
        if old is None or replaces:
            yield from self._create(new, old)
        elif _is_changed(old.wanted, new.wanted) or old.status == "UPDATE_FAILED":
            # It is undone also where it fails: it may have changed in part.
            self._undo.append(_Undo(logical_id, old, new))
            stack.resources[logical_id] = new
            yield from self._update(new, new.wanted, old.wanted)
        else:
            stack.resources[logical_id] = replace(new, status=old.status, updated=old.updated)

    def _wanted(
        self,
        resolver: Resolver,
        source: StackInput,
        logical_id: str,
        kind: ResourceType,
        old: StackResource | None,
    ) -> WantedResource:
        """Return a resource as it should be."""
        stack = self._stack
        wanted = wanted_resource(
            resolver, source, logical_id, kind, old.wanted if old else None, (stack.name, stack.stack_id)
        )
        kind.check(wanted)
        return wanted

    def _check_replacement(self, kind: ResourceType, old: StackResource, new: StackResource) -> None:
        named = kind.name_property and kind.name_property in new.wanted.properties
        if named and kind.is_unique_by_name and old.wanted.name == new.wanted.name:
            raise ResourceError(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename "
                f"{new.wanted.name} and update the stack again."
            )

    def _create(self, new: StackResource, replaced: StackResource | None) -> Work:
        stack, kind = self._stack, self._kind(new.type_name)
        verb = "create" if replaced is None else "update"
        if replaced is not None:
            new.physical_id = None
            self._undo.append(_Undo(new.logical_id, replaced, new))
            stack.resources[new.logical_id] = new
            why = "Requested update requires the creation of a new physical resource; hence creating one."
            stack.mark(new, "UPDATE_IN_PROGRESS", why)
        else:
            stack.mark(new, "CREATE_IN_PROGRESS")
        with self._failing(new, verb):
            new.physical_id = kind.create(self._region.call, new.wanted)
        word = "CREATE" if replaced is None else "UPDATE"
        stack.mark(new, f"{word}_IN_PROGRESS", "Resource creation Initiated")
        yield from self._await_stable(new, kind, verb)
        stack.mark(new, f"{word}_COMPLETE")

    def _update(
        self, resource: StackResource, wanted: WantedResource, before: WantedResource | None = None
    ) -> Work:
        """Change a resource in place: to what is wanted, from what it was."""
        stack, kind = self._stack, self._kind(resource.type_name)
        before, resource.wanted = before or resource.wanted, wanted
        stack.mark(resource, "UPDATE_IN_PROGRESS")
        physical_id = str(resource.physical_id)
        yield from self._await_free(kind, resource, "update")
        with self._failing(resource, "update"):
            kind.update(self._region.call, physical_id, before, wanted)
        yield from self._await_stable(resource, kind, "update")
        stack.mark(resource, "UPDATE_COMPLETE")

    def _delete(self, resource: StackResource) -> Work:
        stack, kind = self._stack, self._kind(resource.type_name)
        if resource.physical_id is None:
            # It was never created.
            stack.mark(resource, "DELETE_COMPLETE", detail=False)
            return
        stack.mark(resource, "DELETE_IN_PROGRESS", detail=False)
        yield from self._await_free(kind, resource, "delete")
        with self._failing(resource, "delete"):
            kind.delete(self._region.call, resource.physical_id, resource.wanted)
        while True:
            with self._failing(resource, "delete"):
                if kind.is_deleted(self._region.call, resource.physical_id, resource.wanted):
                    break
            yield
        stack.mark(resource, "DELETE_COMPLETE", detail=False)

    def _await_free(self, kind: ResourceType, resource: StackResource, verb: str) -> Work:
        while True:
            with self._failing(resource, verb):
                if kind.is_free(self._region.call, str(resource.physical_id)):
                    return
            yield

    def _await_stable(self, resource: StackResource, kind: ResourceType, verb: str) -> Work:
        while True:
            with self._failing(resource, verb):
                if kind.is_stable(self._region.call, str(resource.physical_id), resource.wanted):
                    return
                if self._deadline and self._stack.clock.now() >= self._deadline:
                    raise ResourceError("Resource creation cancelled: the stack's TimeoutInMinutes is over.")
            yield

    @contextmanager
    def _failing(self, resource: StackResource, verb: str) -> Iterator[None]:
        """Turn the failure of a resource into one of the stack."""
        try:
            yield
        except (AwsError, ResourceError) as error:
            said = describing(error) if isinstance(error, AwsError) else error
            if isinstance(error, AwsError) and error.code == "ValidationError":
                # Of the template, whose sentences are CloudFormation's own.
                said = ResourceError(error.message)
            self._stack.mark(resource, f"{verb.upper()}_FAILED", str(said))
            raise _failure(verb, [resource.logical_id]) from error
        except Exception as error:
            LOG.exception("cannot %s %s", verb, resource.logical_id)
            reason = f"Internal Failure: {type(error).__name__}; see the log of the local AWS."
            self._stack.mark(resource, f"{verb.upper()}_FAILED", reason)
            raise _failure(verb, [resource.logical_id]) from error

    @contextmanager
    def _failing_alone(self, resource: StackResource, status: str) -> Iterator[None]:
        """Go on where a resource cannot be deleted."""
        try:
            yield
        except StackFailure:
            assert resource.status == status  # noqa: S101 - it was marked

    def _kind(self, type_name: str) -> ResourceType:
        kind = self._region.resource_type(type_name, self._stack.stack_id)
        assert kind is not None  # noqa: S101 - unknown ones were refused
        return kind

    # The template

    def resolver(self, source: StackInput) -> Resolver:
        """Return what resolves the functions of a template, with the resources as they are."""
        stack, call = self._stack, self._region.call

        def reference(logical_id: str) -> str:
            resource = stack.resources[logical_id]
            return self._kind(resource.type_name).reference(str(resource.physical_id), resource.wanted)

        def attribute(logical_id: str, name: str) -> Any:
            resource = stack.resources[logical_id]
            kind = self._kind(resource.type_name)
            try:
                return kind.attribute(call, str(resource.physical_id), resource.wanted, name)
            except KeyError as error:
                raise ResourceError(
                    f"Template error: resource {logical_id} does not support attribute type {name} in Fn::GetAtt"
                ) from error

        return Resolver(source.template, self._region.around(stack, source), reference, attribute)

    def _set_source(self, source: StackInput) -> None:
        self._stack.source = source
        try:
            resolved = self._region.around(self._stack, source).parameters
        except AwsError:
            # A parameter of Systems Manager that is gone: the stack fails for it.
            resolved = {}
        self._stack.parameters = shown_values(source.template, source.values, resolved)

    def _set_outputs(self, resolver: Resolver) -> None:
        try:
            outputs = [_output(resolver, name, one) for name, one in resolver.shown_outputs().items()]
            exports = {one["ExportName"]: one["OutputValue"] for one in outputs if "ExportName" in one}
            self._region.check_exports(self._stack, exports)
        except (AwsError, ResourceError) as error:
            said = error.message if isinstance(error, AwsError) else str(error)
            raise StackFailure(f"{said} ") from error
        self._stack.outputs = outputs
        self._stack.imports = resolver.imports


def wanted_resource(
    resolver: Resolver,
    source: StackInput,
    logical_id: str,
    kind: ResourceType,
    old: WantedResource | None,
    stack: tuple[str, str],
) -> WantedResource:
    """Return a resource as a stack wants it.

    :param old: What it was.
    :param stack: Name and id of the stack.
    """
    properties = resolver.resolved(source.template.resources[logical_id].properties)
    tags = dict(source.tags) if kind.is_taggable else {}
    if kind.is_taggable and "Tags" in properties:
        own = properties.pop("Tags")
        found = own if isinstance(own, Mapping) else tags_as_dict(own)
        tags |= {key: str(value) for key, value in found.items()}
    if kind.name_property and kind.name_property in properties:
        name = str(properties[kind.name_property])
    elif old is not None and not kind.needs_replacement(old.properties, properties):
        name = old.name
    else:
        name = kind.generated_name(stack[0], logical_id)
    system_tags = {
        "aws:cloudformation:stack-name": stack[0],
        "aws:cloudformation:stack-id": stack[1],
        "aws:cloudformation:logical-id": logical_id,
    }
    return WantedResource(logical_id, name, properties, tags, system_tags if kind.has_system_tags else {})


def _is_changed(old: WantedResource, new: WantedResource) -> bool:
    return (old.properties, old.tags) != (new.properties, new.tags)


def _output(resolver: Resolver, name: str, declared: Mapping[str, Any]) -> dict[str, str]:
    value = resolver.resolved(declared.get("Value"))
    if not isinstance(value, str | int | float | bool):
        raise ResourceError(
            f"Template format error: Output {name} is malformed. The Value field of every Outputs member must evaluate to a "
            "String."
        )
    text = str(value).lower() if isinstance(value, bool) else str(value)
    output = {"OutputKey": name, "OutputValue": text}
    if declared.get("Description"):
        output["Description"] = str(declared["Description"])
    if "Export" in declared:
        output["ExportName"] = str(resolver.resolved(declared["Export"].get("Name")))
    return output


def _failure(verb: str, failed: Sequence[str]) -> StackFailure:
    return StackFailure(f"The following resource(s) failed to {verb}: [{', '.join(failed)}]. ")
