"""Either a variant or an inference component is named."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.hosting_target import check_target


@pytest.mark.parametrize(("endpoint", "variant", "component"), [("e", "v", None), (None, None, "c")])
def test_one_is_right(endpoint: Any, variant: Any, component: Any) -> None:
    check_target("", endpoint_name=endpoint, variant_name=variant, inference_component_name=component)


@pytest.mark.parametrize(
    ("endpoint", "variant", "component", "message"),
    [
        (None, None, None, "endpoint_name is None"),
        ("e", None, None, "variant_name is None"),
        ("e", None, "c", "given with endpoint_name or variant_name"),
        (None, "v", "c", "given with endpoint_name or variant_name"),
    ],
)
def test_none_and_both_are_errors(endpoint: Any, variant: Any, component: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_target("", endpoint_name=endpoint, variant_name=variant, inference_component_name=component)
