"""Existing models, endpoint configs and endpoints, given by name or by ARN."""

from __future__ import annotations

import re
from typing import Any

from airflow_sm_hosting.spec.checks import check_model_name, check_name, invalid, is_rendered_later
from airflow_sm_hosting.spec.rendered import as_string

#: The resource type before the name in an ARN of each kind (SageMaker, "Actions, resources, and condition keys": resource types).
MODEL = "model"
ENDPOINT_CONFIG = "endpoint-config"
ENDPOINT = "endpoint"
INFERENCE_COMPONENT = "inference-component"

ARN_PATTERN = (
    r"arn:(?P<partition>aws[a-z\-]*):sagemaker:(?P<region>[a-z0-9\-]+):(?P<account>\d{12}):"
    r"(?P<kind>[a-z\-]+)/(?P<name>[^/]+)"
)


def is_arn(value: Any) -> bool:
    """Return whether a value is meant as an ARN."""
    return isinstance(value, str) and value.startswith("arn:")


def arn_parts(arn: str) -> dict[str, str]:
    """Return partition, region, account, kind and name of a SageMaker ARN; nothing for another text."""
    found = re.fullmatch(ARN_PATTERN, arn)
    return found.groupdict() if found else {}


def check_resource(where: str, value: Any, kind: str) -> None:
    """Check the name or ARN of a model, an endpoint config or an endpoint, as far as it is literal.

    :param where: The field.
    :param value: The value.
    :param kind: ``MODEL``, ``ENDPOINT_CONFIG``, ``ENDPOINT`` or ``INFERENCE_COMPONENT``.
    :raises InvalidSpecError: When it is neither a name, nor the ARN of this kind.
    """
    if is_rendered_later(value):
        return
    if is_arn(value):
        parts = arn_parts(value)
        if parts.get("kind") != kind:
            raise invalid(
                where,
                value,
                f"a name, or an ARN 'arn:<partition>:sagemaker:<region>:<account>:{kind}/<name>'",
            )
        value = parts["name"]
    (check_model_name if kind == MODEL else check_name)(where, value)


def resource_name(where: str, value: Any, kind: str) -> str:
    """Return the name of the resource that a rendered value names, directly or by ARN.

    AWS writes the ARN of an endpoint in lower case (prometheus-community/yet-another-cloudwatch-exporter#1178). Where the case counts, the
    operators use the name that DescribeEndpoint returns.

    :raises InvalidSpecError: When it is neither a name, nor the ARN of this kind.
    """
    given = as_string(where, value)
    check_resource(where, given, kind)
    return arn_parts(given)["name"] if is_arn(given) else given


def principal_of(arn: str) -> tuple[str, str]:
    """Return kind and name of the identity in the ARN of a caller (IAM user guide, "reference_identifiers"): ``("role", "Airflow")``.

    The ARN of an assumed role has the name of a session behind that of the role, and not the role's path.
    """
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        return "role", name.partition("/")[0]
    return kind, name.rpartition("/")[2] or "user"
