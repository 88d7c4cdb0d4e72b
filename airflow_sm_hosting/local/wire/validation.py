"""Requests held against botocore's model of the service, refused in AWS's words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.model import OperationNotFoundError

from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.service_model.validation import Violation, violations

_INDEX = re.compile(r"\[(\d+)\]")
_MAP_KEY = re.compile(r"^(.*)\.\S+ \(key\)$")


def check_request(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Refuse a request that breaks the service's model.

    The wording is AWS's, as quoted in public issues (astronomer-providers#1055, sagemaker-python-sdk#101):
    ``1 validation error detected: Value 'a_b' at 'modelName' failed to satisfy constraint: Member must …``.

    :raises AwsError: ``SerializationException`` for a value of the wrong type, ``ValidationException`` otherwise.
    """
    # AWS ignores members that it does not know: an SDK may be newer than the service.
    found = [v for v in violations(_input_shape(service, operation), request) if v.kind != "unknown"]
    wrong_type = next((v for v in found if v.kind == "type"), None)
    if wrong_type:
        # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html: the body cannot be deserialised.
        raise AwsError("SerializationException", f"{wrong_type.constraint}: {_aws_path(wrong_type.path)}")
    if found:
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise AwsError(
            "ValidationException", f"{count}: {'; '.join(_sentence(one, service) for one in found)}"
        )


@cache
def _input_shape(service: str, operation: str) -> Any:
    try:
        return input_shape(service, operation)
    except OperationNotFoundError as error:
        # https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html names neither code nor status: assumed.
        raise AwsError("UnknownOperationException", "The service has no operation of that name.") from error


def _sentence(violation: Violation, service: str) -> str:
    value = "null" if violation.value is None else f"'{_aws_value(violation.value)}'"
    constraint = violation.constraint
    if service == "sagemaker" and violation.kind == "pattern":
        # SageMaker anchors its patterns, as users quote it; botocore's model does not.
        front, mark, pattern = constraint.partition("pattern: ")
        constraint = f"{front}{mark}^{pattern.removeprefix('^')}"
    return f"Value {value} at '{_aws_path(violation.path)}' failed to satisfy constraint: {constraint}"


def _aws_value(value: Any) -> Any:
    # AWS shows structures of Java; that we cannot repeat, and environments must not be shown.
    return "[...]" if isinstance(value, list | dict) else value


def _aws_path(path: str) -> str:
    """Return ``productionVariants.1.member.variantName`` for ``ProductionVariants[0].VariantName``."""
    if match := _MAP_KEY.match(path):
        # The offending key of an environment is named by its place only.
        path = f"{match[1]}.key"
    path = _INDEX.sub(lambda match: f".{int(match[1]) + 1}.member", path)
    return ".".join(part[:1].lower() + part[1:] for part in path.split("."))
