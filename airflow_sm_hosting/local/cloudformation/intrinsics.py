"""Functions of templates: their values, and the resources that they refer to.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.local.cloudformation.template import Template, template_error

_DYNAMIC = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):([^}]+)\}\}")
_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")
#: What a property is that has this value: absent.
_NO_VALUE = object()
# The zones of a Region are named so; that there are three is assumed.
_ZONES = "abc"


@dataclass(frozen=True)
class Surroundings:
    """What a template refers to outside of its resources.

    :param parameters: The values of its parameters.
    :param pseudo: The values of pseudo parameters, ``AWS::Region`` and so on.
    :param exported: Returns the value of an export; raises an error where there is none.
    :param dynamic: Returns the value of a dynamic reference: ``ssm`` and its name, or ``secretsmanager`` and its path.
    """

    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    exported: Callable[[str], Any]
    dynamic: Callable[[str, str], str]


@dataclass
class Resolver:
    """Resolves the functions of a template.

    :param template: The template.
    :param around: What it refers to.
    :param reference: Returns what ``Ref`` of a resource is.
    :param attribute: Returns an attribute of a resource, by logical id and name.
    """

    template: Template
    around: Surroundings
    reference: Callable[[str], Any]
    attribute: Callable[[str, str], Any]
    #: The exports whose values were taken.
    imports: set[str] = field(default_factory=set)

    def resolved(self, value: Any) -> Any:
        """Return a value of the template without functions.

        :raises AwsError: A function is malformed, or refers to what is not there.
        """
        found = self._value(value)
        return None if found is _NO_VALUE else found

    def holds(self, condition: str) -> bool:
        """Return whether a condition of the template holds."""
        if condition not in self.template.conditions:
            raise template_error(
                f"Template format error: Unresolved dependencies [{condition}]. Cannot reference conditions that are not "
                "defined in the Conditions block of the template"
            )
        return self._truth(self.template.conditions[condition])

    def exists(self, logical_id: str) -> bool:
        """Return whether the condition of a resource holds, if it has one."""
        condition = self.template.resources[logical_id].condition
        return condition is None or self.holds(condition)

    def references(self, value: Any) -> Iterator[str]:
        """Return the names that a value refers to, with ``Ref``, ``Fn::GetAtt`` or ``Fn::Sub``; of ``Fn::If``, those of the branch taken."""
        if isinstance(value, list):
            for item in value:
                yield from self.references(item)
            return
        if not isinstance(value, Mapping):
            return
        match _function_of(value):
            case "Ref", str() as name:
                yield name
            case "Fn::GetAtt", str() | list() as wanted:
                yield _attribute_path(wanted)[0]
            case "Fn::Sub", str() | list() as wanted:
                text, own = (wanted, {}) if isinstance(wanted, str) else (wanted[0], wanted[1])
                for literal, name in _VARIABLE.findall(text):
                    if not literal and name.strip() not in own:
                        yield name.strip().partition(".")[0]
                yield from self.references(list(own.values()))
            case "Fn::If", [str() as condition, yes, no]:
                yield from self.references(yes if self.holds(condition) else no)
            case _:
                yield from self.references(list(value.values()))

    def dependencies(self, logical_id: str) -> list[str]:
        """Return the resources that a resource needs, which exist under their conditions.

        :raises AwsError: One is not in the template.
        """
        resource = self.template.resources[logical_id]
        found = dict.fromkeys([*self.references(resource.properties), *resource.depends_on])
        known = {*self.around.pseudo, *self.around.parameters, "AWS::NoValue"}
        absent = [name for name in found if name not in self.template.resources and name not in known]
        if absent:
            raise template_error(
                f"Template format error: Unresolved resource dependencies [{', '.join(sorted(absent))}] in the Resources "
                "block of the template"
            )
        return [name for name in found if name in self.template.resources and self.exists(name)]

    def creation_order(self) -> list[str]:
        """Return the resources that exist under their conditions, each after those that it needs.

        :raises AwsError: They need each other, or what is not in the template.
        """
        needed = {name: self.dependencies(name) for name in self.template.resources if self.exists(name)}
        order: list[str] = []
        while needed:
            free = [name for name, others in needed.items() if not set(others) & needed.keys()]
            if not free:
                raise template_error(f"Circular dependency between resources: [{', '.join(sorted(needed))}]")
            order += free
            for name in free:
                del needed[name]
        return order

    def check_outputs(self) -> None:
        """Check that outputs refer to what is there.

        :raises AwsError: One does not.
        """
        known = {*self.around.pseudo, *self.around.parameters, "AWS::NoValue"}
        for output in self.shown_outputs().values():
            absent = [
                name
                for name in self.references(output.get("Value"))
                if name not in known and (name not in self.template.resources or not self.exists(name))
            ]
            if absent:
                raise template_error(
                    f"Template format error: Unresolved resource dependencies [{', '.join(absent)}] in the Outputs block of "
                    "the template"
                )

    def shown_outputs(self) -> dict[str, Mapping[str, Any]]:
        """Return the outputs whose condition holds."""
        return {
            name: output
            for name, output in self.template.outputs.items()
            if "Condition" not in output or self.holds(output["Condition"])
        }

    # Values

    def _value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in map(self._value, value) if one is not _NO_VALUE]
        if isinstance(value, str) and "{{resolve:" in value:
            return self._dynamic(value)
        if not isinstance(value, Mapping):
            return value
        found = _function_of(value)
        if found is not None:
            result = self._called(*found)
            # A reference can be put together by a function.
            return self._dynamic(result) if isinstance(result, str) and "{{resolve:" in result else result
        resolved = {str(key): self._value(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _dynamic(self, text: str) -> str:
        return _DYNAMIC.sub(lambda match: self.around.dynamic(match[1], match[2].strip()), text)

    def _called(self, name: str, given: Any) -> Any:
        if name == "Fn::If":
            condition, yes, no = self._arguments(name, given, 3)
            return self._value(yes if self.holds(condition) else no)
        if name == "Ref":
            return self._ref(given)
        if name == "Fn::GetAtt":
            logical_id, attribute = _attribute_path(given)
            self._check_resource(logical_id)
            return self.attribute(logical_id, self._value(attribute))
        if name in _CONDITIONS:
            return self._truth({name: given})
        function = self._functions().get(name)
        if function is None:
            raise template_error(f"Template error: the local AWS does not have the function {name}.")
        return function(given)

    def _functions(self) -> Mapping[str, Callable[[Any], Any]]:
        return {
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Split": self._split,
            "Fn::Select": self._select,
            "Fn::FindInMap": self._find_in_map,
            "Fn::ImportValue": self._import,
            "Fn::GetAZs": lambda given: [
                f"{self._value(given) or self.around.pseudo['AWS::Region']}{zone}" for zone in _ZONES
            ],
            "Fn::Base64": lambda given: base64.b64encode(_text(self._value(given)).encode()).decode(),
            "Fn::ToJsonString": lambda given: json.dumps(self._value(given)),
            "Fn::Length": lambda given: len(self._value(given)),
            "Fn::Cidr": self._cidr,
        }

    def _ref(self, name: Any) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self.around.pseudo:
            return self.around.pseudo[name]
        if name in self.around.parameters:
            return self.around.parameters[name]
        self._check_resource(name)
        return self.reference(name)

    def _check_resource(self, name: Any) -> None:
        if name not in self.template.resources or not self.exists(name):
            raise template_error(
                f"Template format error: Unresolved resource dependencies [{name}] in the Resources block of the template"
            )

    def _sub(self, given: Any) -> str:
        text, own = (given, {}) if isinstance(given, str) else self._arguments("Fn::Sub", given, 2)

        def value(match: re.Match[str]) -> str:
            literal, name = match[1], match[2].strip()
            if literal:
                return f"${{{match[2]}}}"
            if name in own:
                return _text(self._value(own[name]))
            call = {"Fn::GetAtt": name.split(".", 1)} if "." in name else {"Ref": name}
            return _text(self._value(call))

        return _VARIABLE.sub(value, text)

    def _join(self, given: Any) -> str:
        delimiter, parts = self._arguments("Fn::Join", given, 2)
        return str(delimiter).join(map(_text, self._list("Fn::Join", parts)))

    def _split(self, given: Any) -> list[str]:
        delimiter, text = self._arguments("Fn::Split", given, 2)
        return _text(self._value(text)).split(delimiter)

    def _select(self, given: Any) -> Any:
        index, values = self._arguments("Fn::Select", given, 2)
        found, place = self._list("Fn::Select", values), int(self._value(index))
        if not 0 <= place < len(found):
            raise template_error(
                f"Template error: Fn::Select cannot select nonexistent value at index {place}"
            )
        return found[place]

    def _find_in_map(self, given: Any) -> Any:
        if not isinstance(given, list) or len(given) not in (3, 4):
            raise template_error(
                "Template error: every Fn::FindInMap object requires three parameters, the map name, map key and the "
                "attribute for return value"
            )
        found: Any = self.template.mappings
        for key in map(_text, map(self._value, given[:3])):
            if not isinstance(found, Mapping) or key not in found:
                if len(given) == 4 and isinstance(given[3], Mapping) and "DefaultValue" in given[3]:
                    return self._value(given[3]["DefaultValue"])
                path = "::".join(_text(self._value(one)) for one in given[1:3])
                raise template_error(f"Template error: Unable to get mapping for {_text(given[0])}::{path}")
            found = found[key]
        return found

    def _import(self, given: Any) -> Any:
        name = _text(self._value(given))
        value = self.around.exported(name)
        self.imports.add(name)
        return value

    def _cidr(self, given: Any) -> list[str]:
        block, count, *bits = self._list("Fn::Cidr", given)
        network = ipaddress.ip_network(block)
        prefix = network.max_prefixlen - int(bits[0] if bits else 8)
        return [
            str(one) for one, _ in zip(network.subnets(new_prefix=prefix), range(int(count)), strict=False)
        ]

    # Conditions

    def _truth(self, condition: Any) -> bool:
        if isinstance(condition, bool):
            return condition
        found = _function_of(condition) if isinstance(condition, Mapping) else None
        match found:
            case "Condition", str() as name:
                return self.holds(name)
            case "Fn::Equals", [left, right]:
                return bool(_comparable(self._value(left)) == _comparable(self._value(right)))
            case "Fn::Not", [one]:
                return not self._truth(one)
            case "Fn::And", [_, *_] as parts:
                return all(self._truth(part) for part in parts)
            case "Fn::Or", [_, *_] as parts:
                return any(self._truth(part) for part in parts)
            case "Fn::Contains", [values, one]:
                return _comparable(self._value(one)) in map(_comparable, self._list("Fn::Contains", values))
            case "Fn::EachMemberEquals", [values, one]:
                wanted = _comparable(self._value(one))
                return all(
                    _comparable(value) == wanted for value in self._list("Fn::EachMemberEquals", values)
                )
            case "Fn::EachMemberIn", [values, allowed]:
                known = {_comparable(one) for one in self._list("Fn::EachMemberIn", allowed)}
                return all(_comparable(value) in known for value in self._list("Fn::EachMemberIn", values))
        raise template_error("Template format error: Conditions can only be boolean operations.")

    # Arguments

    def _arguments(self, name: str, given: Any, count: int) -> list[Any]:
        if not isinstance(given, list) or len(given) != count:
            raise template_error(f"Template error: {name} requires a list of {count} arguments.")
        return given

    def _list(self, name: str, given: Any) -> list[Any]:
        found = self._value(given)
        if not isinstance(found, list):
            raise template_error(f"Template error: {name} requires a list, not {found!r}.")
        return found


_CONDITIONS = {
    *("Condition", "Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or"),
    *("Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn"),
}


def _function_of(value: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return name and argument of the function that an object is, None for another object."""
    if len(value) != 1:
        return None
    ((name, argument),) = value.items()
    if name == "Condition" and not isinstance(argument, str):
        # The member of a policy's statement.
        return None
    return (name, argument) if name in ("Ref", "Condition") or str(name).startswith("Fn::") else None


def _attribute_path(given: Any) -> tuple[str, Any]:
    if isinstance(given, str) and "." in given:
        given = given.split(".", 1)
    match given:
        case [str() as logical_id, attribute]:
            return logical_id, attribute
        case [str() as logical_id, *parts] if parts:
            return logical_id, ".".join(parts)
    raise template_error(
        "Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute"
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list) or value is _NO_VALUE:
        raise template_error("Template error: every value that is joined to a string must be a string")
    return str(value)


def _comparable(value: Any) -> Any:
    return _text(value) if isinstance(value, bool | int | float | str) else json.dumps(value, sort_keys=True)
