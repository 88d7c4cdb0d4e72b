"""Search expressions: what they may say, and which resources match. Pure.

_API is https://docs.aws.amazon.com/sagemaker/latest/APIReference: API_Search.html, API_SearchExpression.html, API_Filter.html and
API_NestedFilters.html. Texts of refusals are assumed where no source is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any

from airflow_sm_hosting.local.sagemaker.refusal import refuse

# API_SearchExpression.html: "can contain up to twenty elements"; API_Search.html: "The maximum number of recursive SubExpressions,
# NestedFilters, and Filters that can be included in a SearchExpression object is 50."
_MOST_ELEMENTS = 20
_MOST_RECURSIVE = 50
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": gt,
    "GreaterThanOrEqualTo": ge,
    "LessThan": lt,
    "LessThanOrEqualTo": le,
}
_TEXT_ONLY = ("Contains", "In")
_WITHOUT_VALUE = ("Exists", "NotExists")

#: Returns the type of a property: ``text``, ``number``, ``boolean``, ``time`` or ``structure``; None where there is none of that name.
PropertyType = Callable[[str], str | None]
_Filter = Mapping[str, Any]


def check_expression(expression: Mapping[str, Any], type_of: PropertyType) -> None:
    """Validate a search expression.

    :param type_of: The properties of the resource.
    """
    filters = list(_all_filters(expression))
    elements = list(_elements(expression))
    if any(not one for one in elements):
        # API_SearchExpression.html
        refuse("You must specify at least one subexpression, filter, or nested filter.")
    if any(count > _MOST_ELEMENTS for count in elements) or sum(elements) > _MOST_RECURSIVE:
        refuse(
            f"A search expression can contain up to {_MOST_ELEMENTS} elements, and {_MOST_RECURSIVE} with those of its subexpressions."
        )
    for one in filters:
        _check_filter(one, type_of)
    contained = [one["Name"] for one in filters if one.get("Operator") == "Contains"]
    if len(set(contained)) < len(contained):
        # API_Filter.html, in these words: "only one Contains operator for all other values of Name".
        refuse("'CONTAINS' operator usage limit of 1 exceeded.")


def matches(record: Mapping[str, Any], expression: Mapping[str, Any], type_of: PropertyType) -> bool:
    """Return whether a resource matches a valid search expression."""

    def results() -> Iterator[bool]:
        for one in expression.get("Filters", ()):
            yield _holds(record, one, type_of)
        for nested in expression.get("NestedFilters", ()):
            yield _nested_holds(record, nested, type_of)
        for inner in expression.get("SubExpressions", ()):
            yield matches(record, inner, type_of)

    # API_SearchExpression.html, Operator: "The default value is And."
    return any(results()) if expression.get("Operator") == "Or" else all(results())


def values_of(record: Any, name: str) -> list[Any]:
    """Return the values of a property: of a list, those of each of its elements."""
    if isinstance(record, list):
        return [value for one in record for value in values_of(one, name)]
    if not isinstance(record, dict):
        return []
    if name in record:
        found = record[name]
        return found if isinstance(found, list) else [found]
    if name.startswith("Tags."):
        # "enter a value with the form Tags.<key>"
        return [tag["Value"] for tag in record.get("Tags", ()) if tag["Key"] == name.removeprefix("Tags.")]
    # The keys of maps may have dots in them.
    head, _, rest = name.partition(".")
    return values_of(record[head], rest) if rest and head in record else []


def _elements(expression: Mapping[str, Any]) -> Iterator[int]:
    """Return the number of elements of an expression and of each of its subexpressions."""
    inner = expression.get("SubExpressions", ())
    yield sum(len(expression.get(member, ())) for member in ("Filters", "NestedFilters", "SubExpressions"))
    for one in inner:
        yield from _elements(one)


def _all_filters(expression: Mapping[str, Any]) -> Iterator[_Filter]:
    yield from expression.get("Filters", ())
    for nested in expression.get("NestedFilters", ()):
        yield from nested["Filters"]
    for inner in expression.get("SubExpressions", ()):
        yield from _all_filters(inner)


def _check_filter(one: _Filter, type_of: PropertyType) -> None:
    name, operator = one["Name"], one.get("Operator", "Equals")
    kind = type_of(name)
    if kind is None:
        # "You must specify a valid property for the resource"; the text is that of getmoto/moto.
        refuse(f"Unknown property name: {name}")
    if operator in _WITHOUT_VALUE:
        return
    if "Value" not in one:
        refuse(f"A Value must be specified for the operator {operator} of {name}.")
    if operator in _COMPARISONS and kind not in ("number", "time"):
        # "Not supported for text properties."
        refuse(
            f"The operator {operator} is not supported for the property {name}, which is not a number or a time."
        )
    if operator in _TEXT_ONLY and kind != "text":
        # "Only supported for text properties."
        refuse(f"The operator {operator} is only supported for text properties, not for {name}.")
    if kind in ("number", "time") and _read(one["Value"], kind) is None:
        # "Value must be an integer or floating-point decimal", "an ISO 8601 date-time string".
        refuse(f"The value of {name} must be {'a number' if kind == 'number' else 'an ISO 8601 date-time'}.")


def _holds(record: Mapping[str, Any], one: _Filter, type_of: PropertyType) -> bool:
    name, operator = one["Name"], one.get("Operator", "Equals")
    values = values_of(record, name)
    if operator in _WITHOUT_VALUE:
        return bool(values) is (operator == "Exists")
    kind = type_of(name) or "text"
    wanted = _read(one["Value"], kind)
    match operator:
        case "NotEquals":
            return all(_comparable(value, kind) != wanted for value in values)
        case "In":
            # "one of the comma delimited strings in Value"
            choices = [choice.strip() for choice in str(one["Value"]).split(",")]
            return any(value in choices for value in values)
        case "Contains":
            return any(str(wanted) in str(value) for value in values)
        case "Equals":
            return any(_comparable(value, kind) == wanted for value in values)
    compare = _COMPARISONS[operator]
    return any(compare(_comparable(value, kind), wanted) for value in values)


def _nested_holds(record: Mapping[str, Any], nested: Mapping[str, Any], type_of: PropertyType) -> bool:
    """Return whether a single object of a list satisfies all filters."""
    within = nested["NestedPropertyName"]
    objects = values_of(record, within)
    filters: Sequence[_Filter] = nested["Filters"]

    def in_object(found: Any, one: _Filter) -> bool:
        inner = {**one, "Name": one["Name"].removeprefix(f"{within}.")}
        return _holds(found, inner, lambda name: type_of(f"{within}.{name}"))

    return any(all(in_object(found, one) for one in filters) for found in objects)


def _read(value: str, kind: str) -> Any:
    """Return a filter's value as what the property has; None where it is none."""
    try:
        if kind == "number":
            return float(value)
        if kind == "time":
            return _comparable(datetime.fromisoformat(value), kind)
    except ValueError:
        return None
    return value.lower() if kind == "boolean" else value


def _comparable(value: Any, kind: str) -> Any:
    if kind == "time":
        # Filters give whole seconds.
        known = value if value.tzinfo else value.replace(tzinfo=UTC)
        return known.astimezone(UTC).replace(microsecond=0)
    return str(value).lower() if kind == "boolean" else value
