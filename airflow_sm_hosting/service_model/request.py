"""Coerces and validates a whole request before it is sent."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.coercion import typed
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.service_model.validation import Violation, violations
from airflow_sm_hosting.spec.checks import nearest

log = logging.getLogger(__name__)

#: A value of this form may be a newer member of an enum than botocore knows: AWS adds instance types and metric names all the time.
WELL_FORMED_MEMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:\-]*")


def validated_request(service: str, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request with the types of the service's model, validated against it.

    :param service: botocore's name of the service, e.g. ``sagemaker``.
    :param operation: The API operation, e.g. ``CreateModel``.
    :param request: The request; strings that stand for numbers and booleans are turned back, None is absent.
    :raises InvalidSpecError: Naming every member that the service would refuse. Values of environments are not shown.
    """
    shape = input_shape(service, operation)
    ready: dict[str, Any] = typed(shape, request)
    problems = []
    for violation in violations(shape, ready):
        if violation.kind == "enum" and WELL_FORMED_MEMBER.fullmatch(str(violation.value)):
            _warn_of_unknown_member(operation, violation)
        else:
            problems.append(f"{violation.path} is {_shown(violation)}: {violation.constraint}")
    if problems:
        raise InvalidSpecError(
            f"{operation} would be rejected ({len(problems)} "
            f"{('problem' if len(problems) == 1 else 'problems')}): {'; '.join(problems)}"
        )
    return ready


def _warn_of_unknown_member(operation: str, violation: Violation) -> None:
    members = violation.constraint.partition("[")[2].rstrip("]").split(", ")
    near = ", ".join(nearest(str(violation.value), members, 3))
    log.warning(
        "%s: %s is %r, which the installed botocore does not know%s; it is sent unchanged.",
        operation,
        violation.path,
        violation.value,
        f" (nearest: {near})" if near else "",
    )


def _shown(violation: Violation) -> str:
    # A misspelt member may hold anything, an environment among it.
    if violation.kind == "unknown" or ".Environment" in violation.path:
        return "***"
    if isinstance(violation.value, dict | list | tuple):
        return f"a {type(violation.value).__name__} of {len(violation.value)}"
    text = repr(violation.value)
    return text if len(text) <= 120 else f"{text[:117]}…"
