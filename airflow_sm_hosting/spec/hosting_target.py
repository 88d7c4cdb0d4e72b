"""What an operator is about: a variant of an endpoint, or an inference component."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import invalid


def check_target(where: str, *, endpoint_name: Any, variant_name: Any, inference_component_name: Any) -> None:
    """Check that either a variant or an inference component is named.

    :raises InvalidSpecError: When both are, or none.
    """
    if inference_component_name is None:
        missing = "endpoint_name" if endpoint_name is None else "variant_name" if variant_name is None else ""
        if missing:
            raise invalid(
                f"{where}{missing}",
                None,
                "endpoint_name with variant_name, or inference_component_name alone",
            )
    elif (endpoint_name, variant_name) != (None, None):
        raise InvalidSpecError(
            f"{where}inference_component_name is given with endpoint_name or variant_name; allowed: it alone, as its name is unique."
        )
