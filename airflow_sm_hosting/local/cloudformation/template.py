"""Templates: their text, and what their sections must be.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-anatomy.html; the sentences are quoted in public issues.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml  # type: ignore[import-untyped]  # a dependency only for its types is not worth it

from airflow_sm_hosting.local.wire.errors import AwsError

_SECTIONS = {
    *("AWSTemplateFormatVersion", "Description", "Metadata", "Parameters", "Rules", "Mappings", "Conditions"),
    *("Transform", "Resources", "Outputs", "Hooks"),
}
_LOGICAL_ID = re.compile(r"[A-Za-z0-9]{1,255}")
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-deletionpolicy.html
_DELETION_POLICIES = ("Delete", "Retain", "RetainExceptOnCreate", "Snapshot")


def template_error(message: str) -> AwsError:
    """Return the refusal of a template."""
    return AwsError("ValidationError", message)


@dataclass(frozen=True)
class ResourceTemplate:
    """A resource as a template declares it.

    :param type_name: ``AWS::SageMaker::Model``.
    :param properties: Its properties, with functions.
    :param condition: The condition under which it exists.
    :param depends_on: The logical ids that ``DependsOn`` names.
    :param deletion_policy: What happens when it is deleted.
    :param replace_policy: What happens to the old one when it is replaced.
    """

    type_name: str
    properties: Mapping[str, Any]
    condition: str | None = None
    depends_on: tuple[str, ...] = ()
    deletion_policy: str = "Delete"
    replace_policy: str = "Delete"


@dataclass(frozen=True)
class Template:
    """A parsed template.

    :param text: As it was sent.
    """

    text: str
    description: str | None = None
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    rules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    mappings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    resources: Mapping[str, ResourceTemplate] = field(default_factory=dict)
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


def parse_template(text: str) -> Template:
    """Parse a template in JSON or YAML.

    :raises AwsError: It is malformed, or has what the local AWS does not have.
    """
    document = _document(text)
    unknown = sorted(set(document) - _SECTIONS)
    if unknown:
        raise template_error(f"Invalid template property or properties [{', '.join(unknown)}]")
    for absent in ("Transform", "Hooks"):
        if document.get(absent):
            raise AwsError(
                "NotImplemented", f"The local AWS does not have {absent} of a template.", status=501
            )
    if not isinstance(document.get("Resources"), Mapping) or not document["Resources"]:
        raise template_error("Template format error: At least one Resources member must be defined.")
    for section in ("Parameters", "Rules", "Mappings", "Conditions", "Outputs"):
        for name, value in _section(document, section).items():
            if section != "Conditions" and not isinstance(value, Mapping):
                raise template_error(f"Template format error: [/{section}/{name}] must be an object.")
    resources = {str(name): _resource(str(name), one) for name, one in document["Resources"].items()}
    conditions = _section(document, "Conditions")
    for name, resource in resources.items():
        if resource.condition is not None and resource.condition not in conditions:
            raise template_error(
                f"Template format error: Unresolved condition dependency {resource.condition} in the Resources block of "
                f"the template ({name})"
            )
    return Template(
        text=text,
        description=document.get("Description"),
        parameters=_section(document, "Parameters"),
        rules=_section(document, "Rules"),
        mappings=_section(document, "Mappings"),
        conditions=conditions,
        resources=resources,
        outputs=_section(document, "Outputs"),
        metadata=_section(document, "Metadata"),
    )


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    if found is None:
        if name in document:
            raise template_error(f"[/{name}] 'null' values are not allowed in templates")
        return {}
    if not isinstance(found, Mapping):
        raise template_error(f"Template format error: {name} must be an object.")
    return found


def _resource(name: str, declared: Any) -> ResourceTemplate:
    if not _LOGICAL_ID.fullmatch(name):
        raise template_error(f"Template format error: Resource name {name} is non alphanumeric.")
    if not isinstance(declared, Mapping):
        raise template_error(f"Template format error: [/Resources/{name}] resource definition is malformed")
    if not isinstance(declared.get("Type"), str):
        raise template_error(
            f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
        )
    for unlike in ("CreationPolicy", "UpdatePolicy"):
        if declared.get(unlike):
            raise AwsError(
                "NotImplemented",
                f"The local AWS does not have {unlike} of a resource ([/Resources/{name}]).",
                status=501,
            )
    properties = declared.get("Properties") or {}
    if not isinstance(properties, Mapping):
        raise template_error(
            f"Template format error: [/Resources/{name}/Properties] Properties must be an object."
        )
    depends_on = declared.get("DependsOn") or ()
    policies = {
        attribute: declared.get(attribute, "Delete")
        for attribute in ("DeletionPolicy", "UpdateReplacePolicy")
    }
    for attribute, policy in policies.items():
        if policy not in _DELETION_POLICIES:
            raise template_error(f"Template error: {attribute} {policy} of [{name}] is not supported.")
    return ResourceTemplate(
        type_name=declared["Type"],
        properties=properties,
        condition=declared.get("Condition"),
        depends_on=(depends_on,) if isinstance(depends_on, str) else tuple(depends_on),
        deletion_policy=policies["DeletionPolicy"],
        replace_policy=policies["UpdateReplacePolicy"],
    )


# The text


class _TemplateLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with the short forms of functions, dates as strings, and without aliases.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        return super().compose_node(parent, index)


def _function(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case _:
            value = loader.construct_mapping(node, deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_TemplateLoader.add_multi_constructor("!", _function)
# "2012-10-17" is the version of a policy.
_TemplateLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _document(text: str) -> Mapping[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise template_error(f"Template format error: JSON not well-formed. ({error})") from error
    else:
        try:
            document = yaml.load(text, Loader=_TemplateLoader)  # noqa: S506 - a SafeLoader
        except (yaml.YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
            raise template_error(f"Template format error: YAML not well-formed.{where}") from error
    if not isinstance(document, Mapping):
        raise template_error("Template format error: unsupported structure.")
    return document
