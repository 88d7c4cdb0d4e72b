"""The types of resources that moto can create of a template, one by one; its stacks are not used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.base_backend import BackendDict

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID, partition_name

# Objects that are not in a dict or list of their backend, by type, Region and physical id.
_MADE: dict[tuple[str, str, str], Any] = {}


def is_known(type_name: str) -> bool:
    """Return whether moto has a type."""
    return type_name in _types() and type_name not in _NOT_SINGLE


def name_property(type_name: str) -> str | None:
    """Return the property with the resource's own name, None where there is none."""
    return _types()[type_name].cloudformation_name_type() or None


def has_attribute(type_name: str, attribute: str) -> bool:
    """Return whether a type has an attribute."""
    return bool(_types()[type_name].has_cfn_attr(attribute))


def moto_name(type_name: str, stack_name: str, logical_id: str) -> str:
    """Return a name in the form and the length that the type takes."""
    from moto.cloudformation.parsing import generate_resource_name

    return str(generate_resource_name(type_name, stack_name, logical_id))


def create_resource(
    type_name: str, name: str, properties: Mapping[str, Any], region: str, logical_id: str, stack_id: str
) -> Any:
    """Create a resource, and return moto's object of it.

    :raises Exception: moto's refusal.
    """
    made = _types()[type_name].create_from_cloudformation_json(
        name,
        {"Type": type_name, "Properties": dict(properties)},
        ACCOUNT_ID,
        region,
        LogicalId=logical_id,
        StackId=stack_id,
        ResourceType=type_name,
    )
    if made is not None:
        _MADE[type_name, region, physical_id(made)] = made
    return made


def can_update(type_name: str) -> bool:
    """Return whether moto can update resources of a type."""
    return not _is_abstract(_types()[type_name].update_from_cloudformation_json)


def update_resource(
    type_name: str, resource: Any, name: str, properties: Mapping[str, Any], region: str
) -> Any:
    """Update a resource, and return moto's object of it.

    :raises Exception: moto's refusal.
    """
    return _types()[type_name].update_from_cloudformation_json(
        original_resource=resource,
        new_resource_name=name,
        cloudformation_json={"Type": type_name, "Properties": dict(properties)},
        account_id=ACCOUNT_ID,
        region_name=region,
    )


def can_delete(type_name: str) -> bool:
    """Return whether moto can delete resources of a type."""
    kind = _types()[type_name]
    return not _is_abstract(kind.delete_from_cloudformation_json) or hasattr(kind, "delete")


def delete_resource(type_name: str, resource: Any, properties: Mapping[str, Any], region: str) -> None:
    """Delete a resource.

    :raises Exception: moto's refusal.
    """
    kind = _types()[type_name]
    _MADE.pop((type_name, region, physical_id(resource)), None)
    if not _is_abstract(kind.delete_from_cloudformation_json):
        declared = {"Type": type_name, "Properties": dict(properties)}
        kind.delete_from_cloudformation_json(resource.physical_resource_id, declared, ACCOUNT_ID, region)
    else:
        resource.delete(ACCOUNT_ID, region)


def physical_id(resource: Any) -> str:
    """Return the id of a resource, which ``Ref`` is."""
    return str(resource.physical_resource_id)


def attribute_of(resource: Any, name: str) -> Any:
    """Return an attribute of a resource.

    :raises KeyError: It has none of that name.
    """
    from moto.cloudformation.exceptions import UnformattedGetAttTemplateException

    try:
        return resource.get_cfn_attribute(name)
    except (UnformattedGetAttTemplateException, NotImplementedError) as error:
        raise KeyError(name) from error


def find_resource(type_name: str, wanted_id: str, region: str) -> Any:
    """Return moto's object of a resource by its physical id, None where there is none."""
    kind = _types()[type_name]
    for one in _backends(kind, region):
        for held in _held(vars(one), 3):
            if isinstance(held, kind) and str(getattr(held, "physical_resource_id", None)) == wanted_id:
                return held
    return _MADE.get((type_name, region, wanted_id))


def forget_all() -> None:
    """Forget the objects of resources, whose services were reset."""
    _MADE.clear()


#: Types that need moto's stacks (nested ones) or its Lambda containers (custom resources).
_NOT_SINGLE = ("AWS::CloudFormation::Stack", "AWS::SERVICE::RESOURCE", "?")


def _types() -> dict[str, Any]:
    # Not imported before it is needed: it brings most of moto.
    from moto.cloudformation.parsing import get_model_map

    found: dict[str, Any] = get_model_map()
    return found


def _is_abstract(method: Any) -> bool:
    return hasattr(method, "__isabstractmethod__")


def _backends(kind: Any, region: str) -> Iterator[Any]:
    """Return the backends of a type's service for a Region; that of a service without Regions has the name of the partition."""
    service = kind.__module__.split(".")[1]
    for backends in list(BackendDict._instances):  # type: ignore[misc]
        if backends.backend.__module__.split(".")[1] == service:
            found = backends[ACCOUNT_ID]
            yield from (one for key, one in list(found.items()) if key in (region, partition_name(region)))


def _held(value: Any, depth: int) -> Iterator[Any]:
    """Return the objects in a backend: in its dicts and lists, and in those within them."""
    if isinstance(value, Mapping):
        inside: list[Any] = list(value.values())
    elif isinstance(value, list | tuple | set):
        inside = list(value)
    else:
        yield value
        return
    if depth:
        for one in inside:
            yield from _held(one, depth - 1)
