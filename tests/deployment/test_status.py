"""What a person is told who watches an endpoint."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.status import same_name, status_line
from tests.deployment.worlds import endpoint


def variant(name: str, *stages: str) -> dict[str, Any]:
    return {"VariantName": name, "VariantStatus": [{"Status": stage} for stage in stages]}


@pytest.mark.parametrize(
    ("described", "line"),
    [
        (None, "does not exist"),
        (endpoint("InService", "a"), "InService, on config a"),
        (endpoint("Creating", "a"), "Creating, on config a"),
        (endpoint("Updating", "a", "b"), "Updating, on config a, deploying b"),
        (endpoint("Updating", "b", "b"), "Updating, on config b"),
        (
            endpoint("Creating", "a", ProductionVariants=[variant("main", "Creating"), variant("quiet")]),
            "Creating, on config a, variant main Creating",
        ),
        (
            {
                **endpoint("Updating", "a", ProductionVariants=[variant("main", "Baking")]),
                "PendingDeploymentSummary": {
                    "EndpointConfigName": "b",
                    "ProductionVariants": [variant("main", "ActivatingTraffic", "Baking"), variant("new", "Creating")],
                },
            },
            "Updating, on config a, deploying b, variant main ActivatingTraffic/Baking, variant new Creating",
        ),
    ],
    ids=range(7),
)  # fmt: skip
def test_the_line_has_the_status_the_config_and_the_stages_of_what_is_coming(
    described: Any, line: str
) -> None:
    assert status_line(described) == line


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [("a", "a", True), ("A-b", "a-B", True), ("a", "b", False), (None, None, True), (None, "a", False), ("a", None, False)],
)  # fmt: skip
def test_names_are_compared_in_any_case(left: str | None, right: str | None, same: bool) -> None:
    assert same_name(left, right) is same
