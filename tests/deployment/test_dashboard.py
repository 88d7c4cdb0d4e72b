"""What a dashboard of an endpoint shows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting.deployment.dashboard import (
    MOST_MARKS,
    SIGNATURE,
    Mark,
    check_owner,
    dashboard_body,
    mark_of,
    marks_of,
    parsed,
)
from airflow_sm_hosting.exceptions import ConflictError

NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)
SERVING = {
    "EndpointName": "churn",
    "EndpointConfigName": "c2",
    "LastModifiedTime": NOW,
    "ProductionVariants": [{"VariantName": "main"}, {"VariantName": "b-c"}],
}
INSTANCES = {"ProductionVariants": [{"VariantName": "main", "InstanceType": "ml.m5.large"}]}


def body(config: dict[str, Any] = INSTANCES, **given: Any) -> dict[str, Any]:
    return dashboard_body(SERVING, config, region="eu-west-1", period=60, **given)


def graphs(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        one["properties"]["title"]: one["properties"] for one in found["widgets"] if one["type"] == "metric"
    }


def test_each_variant_has_its_lines() -> None:
    found = graphs(body())
    assert list(found) == [
        "Invocations",
        "Model latency",
        "Overhead latency",
        "Errors",
        "Load of an instance",
        "CPU and memory",
    ]
    assert found["Invocations"]["metrics"] == [
        [
            "AWS/SageMaker",
            "Invocations",
            "EndpointName",
            "churn",
            "VariantName",
            variant,
            {"stat": "Sum", "label": f"{variant} invocations"},
        ]
        for variant in ("main", "b-c")
    ]
    assert found["Invocations"]["region"] == "eu-west-1"
    assert len(found["Model latency"]["metrics"]) == 4


def test_only_what_this_kind_of_endpoint_publishes_is_shown() -> None:
    serverless = graphs(body({"ProductionVariants": [{"ServerlessConfig": {"MaxConcurrency": 1}}]}))
    assert "Concurrency" in serverless
    assert not {"Load of an instance", "Queue"} & set(serverless)
    assert [one[1] for one in serverless["CPU and memory"]["metrics"]] == ["MemoryUtilization"] * 2
    asynchronous = graphs(body({**INSTANCES, "AsyncInferenceConfig": {"OutputConfig": {}}}))
    assert {"Queue", "Time in the queue"} <= set(asynchronous)
    assert "Invocations" not in asynchronous
    queue = asynchronous["Queue"]["metrics"][0]
    assert queue[:4] == ["AWS/SageMaker", "ApproximateBacklogSize", "EndpointName", "churn"]
    assert len(queue) == 5, "it has no variant"


def test_scaled_variants_have_their_instances_and_range() -> None:
    found = graphs(body(scaling={"main": (1, 3), "b-c": (2, 4), "gone": (1, 1)}))
    instances = found["Instances (invocations divided by those of an instance)"]
    expressions = [one[0]["expression"] for one in instances["metrics"] if "expression" in one[0]]
    assert expressions == ["all_main/each_main", "all_b_45_c/each_b_45_c"]
    identifiers = [one[-1]["id"] for one in instances["metrics"]]
    assert len(set(identifiers)) == len(identifiers) == 6
    lines = [(one["label"], one["value"]) for one in instances["annotations"]["horizontal"]]
    assert lines == [("main: fewest", 1), ("main: most", 3), ("b-c: fewest", 2), ("b-c: most", 4)]


def test_alarms_and_marks_are_shown() -> None:
    found = body(alarm_arns=["arn:one"], marks=[Mark("2026-11-30T10:00:00Z", "c2")])
    [alarms] = [one for one in found["widgets"] if one["type"] == "alarm"]
    assert alarms["properties"]["alarms"] == ["arn:one"]
    marks = [{"label": "deployed c2", "value": "2026-11-30T10:00:00Z"}]
    assert graphs(found)["Errors"]["annotations"] == {"vertical": marks}
    assert "alarm" not in [one["type"] for one in body()["widgets"]]


def test_widgets_stand_beside_and_below_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for one in body(alarm_arns=["arn:one"], scaling={"main": (1, 3)})["widgets"]:
        cells = {
            (x, y)
            for x in range(one["x"], one["x"] + one["width"])
            for y in range(one["y"], one["y"] + one["height"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_a_deployment_is_marked_once() -> None:
    newest = mark_of(SERVING)
    assert newest == Mark("2026-11-30T10:00:00Z", "c2")
    first = marks_of({}, newest)
    assert first == [newest]
    shown = body(marks=first)
    assert marks_of(shown, newest) == first
    later = Mark("2026-11-30T11:00:00Z", "c2")
    assert marks_of(shown, later) == first, "the same config, changed otherwise"
    third = Mark("2026-11-30T12:00:00Z", "c3")
    assert marks_of(shown, third) == [newest, third]


def test_only_the_newest_marks_are_kept() -> None:
    many = [
        Mark(f"2026-11-{day:02}T10:{minute:02}:00Z", f"c{day}-{minute}")
        for day in (1, 2)
        for minute in range(40)
    ]
    kept = marks_of(body(marks=many), Mark("2026-12-01T00:00:00Z", "new"))
    assert len(kept) == MOST_MARKS
    assert kept[-1].config == "new"
    assert kept[0] == many[-MOST_MARKS + 1]


def test_a_dashboard_of_others_is_not_overwritten() -> None:
    check_owner("churn", None, adopt=False)
    check_owner("churn", json.dumps(body()), adopt=False)
    check_owner("churn", "{}", adopt=True)
    with pytest.raises(ConflictError, match="'churn' exists, and was not made by this package"):
        check_owner("churn", "{}", adopt=False)
    assert SIGNATURE in json.dumps(body())


@pytest.mark.parametrize("text", [None, "", "no JSON", "[]"])
def test_what_is_no_body_is_an_empty_one(text: str | None) -> None:
    assert parsed(text) == {}
