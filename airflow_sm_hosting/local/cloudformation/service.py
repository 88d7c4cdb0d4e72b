"""CloudFormation of one Region: its operations on stacks and change sets.

Rules, unless said otherwise: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/ and botocore's model of it. The
sentences of refusals are those that public issues quote.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudformation.change_sets import (
    NO_CHANGES,
    ChangeSet,
    planned_changes,
)
from airflow_sm_hosting.local.cloudformation.client import ServiceCall
from airflow_sm_hosting.local.cloudformation.intrinsics import Resolver, Surroundings
from airflow_sm_hosting.local.cloudformation.parameters import (
    check_rules,
    given_values,
    resolved_values,
    shown_values,
)
from airflow_sm_hosting.local.cloudformation.stack import Stack, StackInput, StackResource
from airflow_sm_hosting.local.cloudformation.stack_work import StackServices, StackWork, Work
from airflow_sm_hosting.local.cloudformation.template import Template, parse_template, template_error
from airflow_sm_hosting.local.cloudformation.type_table import resource_type
from airflow_sm_hosting.local.moto_bridge import s3, secrets
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID, partition_name, regional_arn
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.paging import page
from airflow_sm_hosting.local.wire.tagging import tags_as_dict, tags_as_list
from airflow_sm_hosting.local.wire.validation import check_request
from airflow_sm_hosting.service_model.shapes import service_model

LOG = logging.getLogger(__name__)

# How often a work that waits looks again.
_POLL_SECONDS = 0.25
_PAGE = 100
_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
#: API_UpdateStack: which stacks can be updated; the failed ones after an operation without rollback.
_UPDATABLE = {
    *("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"),
    *("CREATE_FAILED", "UPDATE_FAILED"),
}
#: Members of requests that a stack keeps.
_SETTINGS = (
    *("Capabilities", "DisableRollback", "NotificationARNs", "OnFailure", "RoleARN", "TimeoutInMinutes"),
    "EnableTerminationProtection",
)
#: The resources that need CAPABILITY_IAM, and CAPABILITY_NAMED_IAM where they have a name of their own (API_CreateStack).
_IAM_NAMES = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::InstanceProfile": "InstanceProfileName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
    "AWS::IAM::AccessKey": None,
    "AWS::IAM::Policy": None,
}


class CloudFormation:
    """CloudFormation of one Region.

    :param region: The Region's name.
    :param clock: The clock.
    :param call: Calls the services of the Region.
    """

    def __init__(self, region: str, clock: Clock, call: ServiceCall) -> None:
        self._region = region
        self._clock = clock
        self._call = call
        self._lock = threading.RLock()
        self._stacks: dict[str, Stack] = {}
        self._change_sets: dict[str, dict[str, ChangeSet]] = {}
        self._closed = False
        self._work = StackServices(
            call,
            lambda name, stack_id: resource_type(name, region, stack_id),
            self._around,
            self._check_exports,
        )
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateStack": self._create,
            "UpdateStack": self._update,
            "DeleteStack": self._delete,
            "DescribeStacks": self._describe,
            "ListStacks": self._list,
            "DescribeStackEvents": self._describe_events,
            "DescribeStackResource": self._describe_resource,
            "DescribeStackResources": self._describe_resources,
            "ListStackResources": self._list_resources,
            "GetTemplate": self._get_template,
            "GetTemplateSummary": self._get_template_summary,
            "ValidateTemplate": self._validate_template,
            "ListExports": self._list_exports,
            "ListImports": self._list_imports,
            "CreateChangeSet": self._create_change_set,
            "DescribeChangeSet": self._describe_change_set,
            "ListChangeSets": self._list_change_sets,
            "ExecuteChangeSet": self._execute_change_set,
            "DeleteChangeSet": self._delete_change_set,
            "ContinueUpdateRollback": self._continue_update_rollback,
            "UpdateTerminationProtection": self._update_termination_protection,
            "GetStackPolicy": self._get_stack_policy,
        }

    def answer(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an operation.

        :raises AwsError: The refusal.
        """
        if operation not in self._operations:
            raise AwsError(
                "NotImplemented", f"The local AWS does not have cloudformation:{operation}.", status=501
            )
        members = {name: value for name, value in request.items() if value is not None}
        try:
            check_request("cloudformation", operation, members)
        except AwsError as refusal:
            raise AwsError("ValidationError", refusal.message) from refusal
        with self._lock:
            return copy.deepcopy(self._operations[operation](members))

    def close(self) -> None:
        """Stop all work, and forget all stacks."""
        with self._lock:
            self._closed = True
            stacks = list(self._stacks.values())
            self._stacks.clear()
            self._change_sets.clear()
        for stack in stacks:
            with stack.stepping:
                # Its step has ended.
                pass

    # Saved state

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart; change sets are not."""
        with self._lock:
            return copy.deepcopy({"stacks": [stack.dump() for stack in self._stacks.values()]})

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state."""
        with self._lock:
            for one in saved["stacks"]:
                stack = Stack.load(one, self._clock)
                self._stacks[stack.stack_id] = stack

    # Stacks

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["StackName"]
        if self._named(name) is not None:
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        template = parse_template(self._template_text(request))
        stack = self._new_stack(name, request)
        source = self._source(stack, template, request, {})
        self._check_capabilities(source, request)
        self._stacks[stack.stack_id] = stack
        self._start(stack, "CREATE_IN_PROGRESS", StackWork(stack, self._work).create(source))
        return {"StackId": stack.stack_id}

    def _update(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"])
        self._check_updatable(stack)
        source = self._updated_source(stack, request)
        self._check_capabilities(source, request)
        if not self._changes(stack, source) and not _has_other_parts(stack, source):
            raise AwsError("ValidationError", "No updates are to be performed.")
        stack.settings |= _settings(request, without=("OnFailure", "TimeoutInMinutes"))
        self._start(stack, "UPDATE_IN_PROGRESS", StackWork(stack, self._work).update(source))
        return {"StackId": stack.stack_id}

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._named(request["StackName"])
        if stack is None or stack.status == "DELETE_COMPLETE":
            # "If the stack doesn't exist, the call succeeds" (as recorded).
            return {}
        if stack.settings.get("EnableTerminationProtection"):
            raise AwsError(
                "ValidationError",
                f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled",
            )
        if stack.status == "DELETE_IN_PROGRESS":
            return {}
        for name in stack.exports:
            self._check_unused(stack, name, "delete")
        retained = request.get("RetainResources", ())
        self._change_sets.pop(stack.stack_id, None)
        self._start(stack, "DELETE_IN_PROGRESS", StackWork(stack, self._work).delete(retained))
        return {}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" in request:
            return {"Stacks": [self._existing(request["StackName"], deleted=True).description()]}
        stacks = [stack for stack in self._stacks.values() if stack.status != "DELETE_COMPLETE"]
        found, token = page(stacks[::-1], request.get("NextToken"), _PAGE)
        return {"Stacks": [stack.description() for stack in found], **token}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = request.get("StackStatusFilter")
        stacks = [stack for stack in self._stacks.values() if not wanted or stack.status in wanted]
        found, token = page(stacks[::-1], request.get("NextToken"), _PAGE)
        return {"StackSummaries": [stack.summary() for stack in found], **token}

    def _describe_events(self, request: dict[str, Any]) -> dict[str, Any]:
        events = self._existing(request["StackName"], deleted=True).events[::-1]
        found, token = page(events, request.get("NextToken"), _PAGE)
        return {"StackEvents": found, **token}

    def _describe_resource(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"], deleted=True)
        resource = self._resource(stack, request["LogicalResourceId"])
        detail = stack.resource_description(resource, "LastUpdatedTimestamp")
        return {"StackResourceDetail": detail}

    def _describe_resources(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" not in request:
            physical_id = request.get("PhysicalResourceId")
            owners = [
                stack
                for stack in self._stacks.values()
                if any(one.physical_id == physical_id for one in list(stack.resources.values()))
            ]
            if not owners:
                raise template_error(f"Stack for {physical_id} does not exist")
            stack = owners[-1]
        else:
            stack = self._existing(request["StackName"], deleted=True)
        only = request.get("LogicalResourceId")
        return {
            "StackResources": [
                stack.resource_description(one, "Timestamp")
                for one in list(stack.resources.values())
                if only in (None, one.logical_id)
            ]
        }

    def _list_resources(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"], deleted=True)
        found, token = page(list(stack.resources.values()), request.get("NextToken"), _PAGE)
        rows = []
        for one in found:
            row = stack.resource_description(one, "LastUpdatedTimestamp")
            rows.append({name: row[name] for name in row if name not in ("StackName", "StackId")})
        return {"StackResourceSummaries": rows, **token}

    def _continue_update_rollback(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"])
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            raise template_error(
                f"Stack:{stack.stack_id} is in {stack.status} state and can not continue its rollback."
            )
        if stack.undo is None:
            raise template_error(f"Stack:{stack.stack_id} cannot continue its rollback after a restart.")
        skipped = request.get("ResourcesToSkip", ())
        work = StackWork(stack, self._work).continue_rollback(skipped)
        self._start(stack, "UPDATE_ROLLBACK_IN_PROGRESS", work)
        return {}

    def _update_termination_protection(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"])
        stack.settings["EnableTerminationProtection"] = request["EnableTerminationProtection"]
        return {"StackId": stack.stack_id}

    def _get_stack_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        # There are none: SetStackPolicy is not implemented.
        self._existing(request["StackName"])
        return {}

    # Templates

    def _get_template(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"], deleted=True) if "StackName" in request else None
        text = stack.source.template.text if stack else ""
        if "ChangeSetName" in request:
            text = self._change_set(request)[1].source.template.text
        return {"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}

    def _get_template_summary(self, request: dict[str, Any]) -> dict[str, Any]:
        if "StackName" in request:
            template = self._existing(request["StackName"]).source.template
        else:
            template = parse_template(self._template_text(request))
        return {
            "Parameters": _declared_parameters(template, "ParameterType"),
            "Description": template.description or "",
            "Capabilities": _capabilities(template),
            "ResourceTypes": sorted({one.type_name for one in template.resources.values()}),
            "Version": "2010-09-09",
        }

    def _validate_template(self, request: dict[str, Any]) -> dict[str, Any]:
        template = parse_template(self._template_text(request))
        return {
            "Parameters": _declared_parameters(template, None),
            "Description": template.description or "",
            "Capabilities": _capabilities(template),
        }

    def _template_text(self, request: Mapping[str, Any]) -> str:
        body, url = request.get("TemplateBody"), request.get("TemplateURL")
        if (body is None) == (url is None):
            raise template_error("Either Template URL or Template Body must be specified.")
        if body is not None:
            return str(body)
        found = _object_of_url(str(url))
        data = s3.read(*found) if found else None
        if data is None:
            raise template_error(f"S3 error: The specified key does not exist. ({url})")
        return data.decode("utf-8", "replace")

    # Exports

    def _list_exports(self, request: dict[str, Any]) -> dict[str, Any]:
        rows = [
            {"ExportingStackId": stack.stack_id, "Name": name, "Value": value}
            for stack in self._stacks.values()
            for name, value in stack.exports.items()
        ]
        found, token = page(rows, request.get("NextToken"), _PAGE)
        return {"Exports": found, **token}

    def _list_imports(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ExportName"]
        users = self._importing(name)
        if not users:
            raise template_error(f"Export '{name}' is not imported by any stack.")
        found, token = page(users, request.get("NextToken"), _PAGE)
        return {"Imports": found, **token}

    def _importing(self, export: str) -> list[str]:
        return [
            stack.name
            for stack in self._stacks.values()
            if export in stack.imports and stack.status != "DELETE_COMPLETE"
        ]

    def _exported(self, name: str) -> str:
        with self._lock:
            for stack in self._stacks.values():
                if name in stack.exports:
                    return stack.exports[name]
        raise template_error(f"No export named {name} found.")

    def _check_exports(self, stack: Stack, exports: Mapping[str, str]) -> None:
        """Check that a stack may have these exports in place of its own."""
        with self._lock:
            for other in self._stacks.values():
                taken = exports.keys() & other.exports.keys() if other is not stack else set()
                if taken:
                    raise template_error(
                        f"Export with name {min(taken)} is already exported by stack {other.name}."
                    )
            for name, value in stack.exports.items():
                if exports.get(name) != value:
                    self._check_unused(stack, name, "delete" if name not in exports else "update")

    def _check_unused(self, stack: Stack, export: str, verb: str) -> None:
        users = [name for name in self._importing(export) if name != stack.name]
        if users:
            raise template_error(
                f"Cannot {verb} export {export} as it is in use by {', '.join(users)}."
                if verb == "update"
                else f"Export {export} cannot be deleted as it is in use by {', '.join(users)}"
            )

    # Change sets

    def _create_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        name, stack_name = request["ChangeSetName"], request["StackName"]
        kind = request.get("ChangeSetType", "UPDATE")
        if kind == "IMPORT" or request.get("ResourcesToImport"):
            raise AwsError(
                "NotImplemented", "The local AWS does not import resources into stacks.", status=501
            )
        stack = self._named(stack_name)
        if kind == "CREATE":
            stack = self._reviewed(stack, stack_name, request)
            template = parse_template(self._template_text(request))
            source = self._source(stack, template, request, {})
        else:
            stack = self._existing(stack_name)
            self._check_updatable(stack)
            source = self._updated_source(stack, request)
        self._check_capabilities(source, request)
        self._stacks[stack.stack_id] = stack
        known = self._change_sets.setdefault(stack.stack_id, {})
        if name in known:
            raise AwsError("AlreadyExistsException", f"ChangeSet {name} already exists")
        changes = self._changes(stack, source)
        resolver = self._resolver(stack, source)
        found = ChangeSet(
            name=name,
            arn=regional_arn("cloudformation", self._region, f"changeSet/{name}/{uuid4()}"),
            kind=kind,
            source=source,
            changes=changes,
            created=self._clock.now(),
            settings=_settings(request),
            parameters=shown_values(source.template, source.values, resolver.around.parameters),
            description=request.get("Description"),
        )
        if kind == "UPDATE" and not changes and not _has_other_parts(stack, source):
            found.status, found.reason, found.execution = "FAILED", NO_CHANGES, "UNAVAILABLE"
        known[name] = found
        return {"Id": found.arn, "StackId": stack.stack_id}

    def _reviewed(self, stack: Stack | None, name: str, request: Mapping[str, Any]) -> Stack:
        """Return a stack for a change set that creates it."""
        if stack is not None:
            if stack.status != "REVIEW_IN_PROGRESS":
                raise template_error(
                    f"Stack [{name}] already exists and cannot be created again with the changeSet "
                    f"[{request['ChangeSetName']}]."
                )
            return stack
        made = self._new_stack(name, request)
        made.enter("REVIEW_IN_PROGRESS", "User Initiated")
        return made

    def _describe_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        stack, found = self._change_set(request)
        shown, token = page(found.changes, request.get("NextToken"), _PAGE)
        described = {
            "ChangeSetName": found.name,
            "ChangeSetId": found.arn,
            "StackId": stack.stack_id,
            "StackName": stack.name,
            "Description": found.description,
            "Parameters": found.parameters,
            "CreationTime": found.created,
            "ExecutionStatus": found.execution,
            "Status": found.status,
            "StatusReason": found.reason,
            "NotificationARNs": found.settings.get("NotificationARNs", []),
            "Capabilities": found.settings.get("Capabilities", []),
            "Tags": tags_as_list(dict(found.source.tags)),
            "Changes": shown,
            "IncludeNestedStacks": False,
            **token,
        }
        return {name: value for name, value in described.items() if value is not None}

    def _list_change_sets(self, request: dict[str, Any]) -> dict[str, Any]:
        stack = self._existing(request["StackName"])
        rows = [
            {
                "StackId": stack.stack_id,
                "StackName": stack.name,
                "ChangeSetId": one.arn,
                "ChangeSetName": one.name,
                "ExecutionStatus": one.execution,
                "Status": one.status,
                "CreationTime": one.created,
                **({"StatusReason": one.reason} if one.reason else {}),
                **({"Description": one.description} if one.description else {}),
            }
            for one in self._change_sets.get(stack.stack_id, {}).values()
        ]
        found, token = page(rows, request.get("NextToken"), _PAGE)
        return {"Summaries": found, **token}

    def _execute_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        stack, found = self._change_set(request)
        if found.execution != "AVAILABLE" or stack.in_progress:
            raise AwsError(
                "InvalidChangeSetStatus",
                f"ChangeSet [{found.arn}] cannot be executed in its current execution status of [{found.execution}]",
            )
        stack.settings |= found.settings
        if "DisableRollback" in request:
            stack.settings["DisableRollback"] = request["DisableRollback"]
        # "… CloudFormation deletes all other change sets": API_ExecuteChangeSet
        self._change_sets.pop(stack.stack_id, None)
        work = StackWork(stack, self._work)
        if found.kind == "CREATE":
            self._start(stack, "CREATE_IN_PROGRESS", work.create(found.source))
        else:
            self._start(stack, "UPDATE_IN_PROGRESS", work.update(found.source))
        return {}

    def _delete_change_set(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            stack, found = self._change_set(request)
        except AwsError:
            # "If the call successfully completes, CloudFormation successfully deleted the change set", also one that is gone.
            return {}
        del self._change_sets[stack.stack_id][found.name]
        return {}

    def _change_set(self, request: Mapping[str, Any]) -> tuple[Stack, ChangeSet]:
        wanted = request["ChangeSetName"]
        only = self._existing(request["StackName"]).stack_id if "StackName" in request else None
        for stack_id, sets in self._change_sets.items():
            for one in sets.values():
                if only in (None, stack_id) and wanted in (one.arn, one.name if only else None):
                    return self._stacks[stack_id], one
        raise AwsError("ChangeSetNotFound", f"ChangeSet [{wanted}] does not exist", status=404)

    # What requests give

    def _new_stack(self, name: str, request: Mapping[str, Any]) -> Stack:
        if not _NAME.fullmatch(name):
            raise template_error(
                f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        stack_id = regional_arn("cloudformation", self._region, f"stack/{name}/{uuid4()}")
        return Stack(
            name=name,
            stack_id=stack_id,
            clock=self._clock,
            source=StackInput(Template("")),
            created=self._clock.now(),
            settings=_settings(request),
        )

    def _source(
        self,
        stack: Stack,
        template: Template,
        request: Mapping[str, Any],
        previous: Mapping[str, str],
        tags: Mapping[str, str] | None = None,
    ) -> StackInput:
        """Return what a stack is to be made from, checked as far as it can be without its resources."""
        given = tags_as_dict(request["Tags"]) if "Tags" in request else dict(tags or {})
        values = given_values(template, request.get("Parameters", []), previous)
        source = StackInput(template, values, given)
        resolver = self._resolver(stack, source)
        try:
            check_rules(resolver)
            resolver.creation_order()
            resolver.check_outputs()
        except RecursionError as error:
            raise template_error("Template format error: Circular dependency between conditions.") from error
        return source

    def _updated_source(self, stack: Stack, request: Mapping[str, Any]) -> StackInput:
        if request.get("UsePreviousTemplate") in (True, "true"):
            template = stack.source.template
        else:
            template = parse_template(self._template_text(request))
        return self._source(stack, template, request, stack.source.values, stack.source.tags)

    def _resolver(self, stack: Stack, source: StackInput) -> Resolver:
        return StackWork(stack, self._work).resolver(source)

    def _changes(self, stack: Stack, source: StackInput) -> list[dict[str, Any]]:
        resolver = self._resolver(stack, source)
        return planned_changes(
            *(stack, source, resolver.around),
            lambda name: self._work.resource_type(name, stack.stack_id),
            resolver.attribute,
        )

    def _around(self, stack: Stack, source: StackInput) -> Surroundings:
        parameters = resolved_values(source.template, source.values, self._ssm_parameter)
        partition = partition_name(self._region)
        pseudo = {
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::NotificationARNs": stack.settings.get("NotificationARNs", []),
            "AWS::Partition": partition,
            "AWS::Region": self._region,
            "AWS::StackId": stack.stack_id,
            "AWS::StackName": stack.name,
            "AWS::URLSuffix": "amazonaws.com.cn" if partition == "aws-cn" else "amazonaws.com",
        }
        return Surroundings(parameters, pseudo, self._exported, self._dynamic_value)

    def _ssm_parameter(self, name: str) -> str:
        value = secrets.parameter_value(self._region, name)
        if value is None:
            raise template_error(
                f"Unable to fetch parameters [{name}] from parameter store for this account."
            )
        return value

    def _dynamic_value(self, kind: str, path: str) -> str:
        """Return the value of a dynamic reference.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
        """
        found: str | None
        if kind == "secretsmanager":
            # An ARN has six colons; what follows says which part of the secret.
            parts = re.fullmatch(
                r"(arn:(?:[^:]*:){5}[^:]*|[^:]+)(?::SecretString(?::([^:]*))?)?(?::.*)?", path
            )
            found = secrets.secret_string(self._region, parts[1]) if parts else None
            if found is not None and parts and parts[2]:
                found = json.loads(found).get(parts[2])
        else:
            found = secrets.parameter_value(self._region, path)
        if found is None:
            raise template_error(f"Could not resolve {{{{resolve:{kind}:{path}}}}}: it does not exist.")
        return str(found)

    def _check_capabilities(self, source: StackInput, request: Mapping[str, Any]) -> None:
        needed = _capabilities(source.template)
        given = request.get("Capabilities", ())
        if needed and not {"CAPABILITY_NAMED_IAM", needed[0]} & set(given):
            raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed[0]}]")

    def _check_updatable(self, stack: Stack) -> None:
        if stack.status not in _UPDATABLE:
            raise template_error(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")

    # Finding

    def _named(self, name_or_id: str) -> Stack | None:
        if name_or_id in self._stacks:
            return self._stacks[name_or_id]
        found = [
            stack
            for stack in self._stacks.values()
            if stack.name == name_or_id and stack.status != "DELETE_COMPLETE"
        ]
        return found[-1] if found else None

    def _existing(self, name_or_id: str, *, deleted: bool = False) -> Stack:
        stack = self._named(name_or_id)
        if stack is None or (stack.status == "DELETE_COMPLETE" and not deleted):
            raise template_error(f"Stack with id {name_or_id} does not exist")
        return stack

    def _resource(self, stack: Stack, logical_id: str) -> StackResource:
        if logical_id not in stack.resources:
            raise template_error(f"Resource {logical_id} does not exist for stack {stack.name}")
        return stack.resources[logical_id]

    # Work

    def _start(self, stack: Stack, status: str, work: Work) -> None:
        """Begin a work: the answer of the request shows its status, and its calls do not hold the request up."""
        stack.work += 1
        stack.enter(status, "User Initiated")
        self._clock.run(partial(self._step, stack, work, stack.work))

    def _step(self, stack: Stack, work: Work, number: int) -> None:
        with stack.stepping:
            if stack.work != number or self._closed:
                # The stack is deleted meanwhile.
                work.close()
                return
            try:
                next(work)
            except StopIteration:
                return
            except Exception:
                LOG.exception("the work on stack %s failed", stack.name)
                status = stack.status.replace("_IN_PROGRESS", "_FAILED")
                stack.enter(status, "Internal Failure; see the log of the local AWS.")
                return
        self._clock.call_later(_POLL_SECONDS, partial(self._step, stack, work, number))


def operation_names() -> list[str]:
    """Return the operations of CloudFormation, of which some are refused."""
    return list(service_model("cloudformation").operation_names)


def _settings(request: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    return {name: request[name] for name in _SETTINGS if name in request and name not in without}


def _capabilities(template: Template) -> list[str]:
    """Return the capability that a template needs, as a list."""
    found = [one for one in template.resources.values() if one.type_name in _IAM_NAMES]
    if not found:
        return []
    named = any(_IAM_NAMES[one.type_name] in one.properties for one in found)
    return ["CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM"]


def _declared_parameters(template: Template, type_member: str | None) -> list[dict[str, Any]]:
    rows = []
    for name, declared in template.parameters.items():
        row: dict[str, Any] = {
            "ParameterKey": name,
            "NoEcho": str(declared.get("NoEcho")).lower() == "true",
            "Description": str(declared.get("Description", "")),
        }
        if "Default" in declared:
            row["DefaultValue"] = str(declared["Default"])
        if type_member:
            row[type_member] = str(declared.get("Type", "String"))
        rows.append(row)
    return rows


def _has_other_parts(stack: Stack, source: StackInput) -> bool:
    """Return whether outputs or tags change, which are of the stack itself."""
    outputs = source.template.outputs
    return (
        stack.source.template.outputs != outputs
        or (bool(outputs) and dict(stack.source.values) != dict(source.values))
        or dict(stack.source.tags) != dict(source.tags)
    )


def _object_of_url(url: str) -> tuple[str, str] | None:
    """Return bucket and key of the URL of an object, in each of the forms that it can have."""
    parts = urlsplit(url)
    path = unquote(parts.path).lstrip("/")
    host = parts.hostname or ""
    if parts.scheme == "s3":
        return (host, path) if path else None
    virtual = re.fullmatch(r"(.+)\.s3[.-][^/]*", host)
    if virtual:
        return virtual[1], path
    bucket, _, key = path.partition("/")
    return (bucket, key) if key else None
