"""The values of a template's parameters.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from airflow_sm_hosting.local.cloudformation.intrinsics import Resolver
from airflow_sm_hosting.local.cloudformation.template import Template, template_error

_SSM_VALUE = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
#: In place of a value: "NoEcho … returns the parameter value masked as asterisks (*****)"
MASK = "****"


def given_values(
    template: Template, given: list[Mapping[str, Any]], previous: Mapping[str, str]
) -> dict[str, str]:
    """Return the values of parameters as they are kept: those given, of the previous template, or the defaults.

    :param given: ``Parameters`` of a request.
    :param previous: The values before, for ``UsePreviousValue``.
    :raises AwsError: A value is missing, unknown or not allowed.
    """
    values: dict[str, str] = {}
    for one in given:
        name = one["ParameterKey"]
        if one.get("UsePreviousValue") in (True, "true"):
            if name not in previous:
                raise template_error(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue"
                )
            values[name] = previous[name]
        else:
            values[name] = str(one.get("ParameterValue", ""))
    unknown = [name for name in values if name not in template.parameters]
    if unknown:
        raise template_error(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    for name, declared in template.parameters.items():
        if name not in values and "Default" in declared:
            default = declared["Default"]
            values[name] = str(default).lower() if isinstance(default, bool) else str(default)
    missing = [name for name in template.parameters if name not in values]
    if missing:
        raise template_error(f"Parameters: [{', '.join(missing)}] must have values")
    for name, value in values.items():
        _check(name, template.parameters[name], value)
    return values


def resolved_values(
    template: Template, values: Mapping[str, str], ssm_parameter: Callable[[str], str]
) -> dict[str, Any]:
    """Return what ``Ref`` of each parameter is: a string, or a list of them.

    :param ssm_parameter: Returns the value of a parameter of Systems Manager; raises an error where there is none.
    """
    resolved: dict[str, Any] = {}
    for name, value in values.items():
        kind = str(template.parameters[name].get("Type", "String"))
        if match := _SSM_VALUE.fullmatch(kind):
            value, kind = ssm_parameter(value), match[1]
        is_list = kind == "CommaDelimitedList" or kind.startswith("List<")
        resolved[name] = [part.strip() for part in value.split(",")] if is_list else value
    return resolved


def shown_values(
    template: Template, values: Mapping[str, str], resolved: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return the parameters as DescribeStacks shows them."""
    shown = []
    for name, value in values.items():
        declared = template.parameters.get(name, {})
        one = {"ParameterKey": name, "ParameterValue": value}
        if _is_secret(declared):
            one["ParameterValue"] = MASK
        elif _SSM_VALUE.fullmatch(str(declared.get("Type"))) and name in resolved:
            found = resolved[name]
            one["ResolvedValue"] = ",".join(found) if isinstance(found, list) else found
        shown.append(one)
    return shown


def secret_values(template: Template, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values that are not shown, the longest first; none that is in every text."""
    found = {value for name, value in values.items() if _is_secret(template.parameters.get(name, {}))}
    return tuple(sorted((value for value in found if len(value) > 1), key=len, reverse=True))


def check_rules(resolver: Resolver) -> None:
    """Check the rules of a template.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html

    :raises AwsError: An assertion does not hold.
    """
    for name, rule in resolver.template.rules.items():
        if "RuleCondition" in rule and not resolver.resolved(rule["RuleCondition"]):
            continue
        for assertion in rule.get("Assertions", ()):
            if not resolver.resolved(assertion.get("Assert")):
                why = assertion.get("AssertDescription", "")
                raise template_error(f"Template error: the rule {name} does not hold. {why}".strip())


def _is_secret(declared: Mapping[str, Any]) -> bool:
    return str(declared.get("NoEcho")).lower() == "true"


def _check(name: str, declared: Mapping[str, Any], value: str) -> None:
    kind = str(declared.get("Type", "String"))
    allowed = declared.get("AllowedValues")
    listed = value.split(",") if kind == "CommaDelimitedList" or kind.startswith("List<") else [value]
    texts = [str(one).lower() if isinstance(one, bool) else str(one) for one in allowed or ()]
    if allowed is not None and any(one.strip() not in texts for one in listed):
        raise template_error(f"Parameter '{name}' must be one of AllowedValues")
    if kind in ("Number", "List<Number>"):
        _check_numbers(name, declared, listed)
        return
    pattern = declared.get("AllowedPattern")
    if pattern and not all(re.fullmatch(pattern, one.strip()) for one in listed):
        raise _unsatisfied(name, declared, f"must match pattern {pattern}")
    if "MinLength" in declared and len(value) < int(declared["MinLength"]):
        raise _unsatisfied(name, declared, f"must contain at least {declared['MinLength']} characters")
    if "MaxLength" in declared and len(value) > int(declared["MaxLength"]):
        raise _unsatisfied(name, declared, f"must contain at most {declared['MaxLength']} characters")


def _check_numbers(name: str, declared: Mapping[str, Any], listed: list[str]) -> None:
    for one in listed:
        try:
            number = float(one)
        except ValueError as error:
            raise template_error(f"Parameter '{name}' must be a number.") from error
        if "MinValue" in declared and number < float(declared["MinValue"]):
            raise _unsatisfied(name, declared, f"must be a number not less than {declared['MinValue']}")
        if "MaxValue" in declared and number > float(declared["MaxValue"]):
            raise _unsatisfied(name, declared, f"must be a number not greater than {declared['MaxValue']}")


def _unsatisfied(name: str, declared: Mapping[str, Any], rule: str) -> Exception:
    said = declared.get("ConstraintDescription")
    return template_error(
        f"Parameter '{name}' failed to satisfy constraint: {said}" if said else f"Parameter '{name}' {rule}"
    )
