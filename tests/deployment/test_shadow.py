"""Promotion of a shadow variant, and the comparison of its answers."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting.deployment.shadow import (
    MOST_DIFFERENT,
    Agreement,
    Captured,
    VariantMetrics,
    agreement,
    base_name,
    capture_prefixes,
    promoted_request,
    report_table,
    variants_of,
)

PRODUCTION = {
    "VariantName": "main",
    "ModelName": "old",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 3,
    "InitialVariantWeight": 2.0,
    "ContainerStartupHealthCheckTimeoutInSeconds": 60,
}
SHADOW = {
    "VariantName": "shadow",
    "ModelName": "new",
    "InstanceType": "ml.m5.xlarge",
    "InitialInstanceCount": 1,
    "InitialVariantWeight": 0.5,
    "ContainerStartupHealthCheckTimeoutInSeconds": 600,
}
CONFIG = {
    "EndpointConfigName": "churn-0123456789",
    "EndpointConfigArn": "arn",
    "CreationTime": "now",
    "ProductionVariants": [PRODUCTION],
    "ShadowProductionVariants": [SHADOW],
    "KmsKeyId": "key",
    "EnableNetworkIsolation": False,
}
MEMBERS = {
    "EndpointConfigName",
    "ProductionVariants",
    "ShadowProductionVariants",
    "KmsKeyId",
    "EnableNetworkIsolation",
    "Tags",
}


@pytest.mark.parametrize(
    ("capacity", "instances"),
    [("production", ("ml.m5.large", 3)), ("shadow", ("ml.m5.xlarge", 1))],
)
def test_the_shadows_model_serves_under_the_name_of_production(
    capacity: str, instances: tuple[str, int]
) -> None:
    request = promoted_request(CONFIG, MEMBERS, capacity=capacity)
    assert set(request) == {"ProductionVariants", "KmsKeyId"}
    (variant,) = request["ProductionVariants"]
    assert (variant["VariantName"], variant["ModelName"]) == ("main", "new")
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == instances
    assert variant["InitialVariantWeight"] == 2.0
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 600


def test_a_config_without_a_shadow() -> None:
    assert variants_of({"ProductionVariants": [PRODUCTION]}) is None
    assert variants_of(CONFIG) == (PRODUCTION, SHADOW)


def test_names_of_configs() -> None:
    assert base_name("churn-0123456789") == "churn"
    assert base_name("churn-blue") == "churn-blue"


def test_metrics() -> None:
    sums = {"invocations": 4.0, "latency": 8000.0, "longest": 5000.0, "4xx": 1.0, "5xx": None}
    assert VariantMetrics.of(sums).as_json() == {
        "invocations": 4,
        "mean_latency_ms": 2.0,
        "max_latency_ms": 5.0,
        "errors_4xx": 1,
        "errors_5xx": 0,
    }
    assert VariantMetrics.of({}) == VariantMetrics()
    assert VariantMetrics.of({"invocations": 0.0, "latency": 1.0, "longest": 1.0}) == VariantMetrics()


def line(output: Any, *, asked: str | None = "1,2", identity: str | None = None, **data: Any) -> str:
    captured: dict[str, Any] = {"endpointOutput": {"data": output, "encoding": "JSON", **data}}
    if asked is not None:
        captured["endpointInput"] = {"data": asked, "encoding": "CSV"}
    metadata = {"eventId": "e", **({"inferenceId": identity} if identity else {})}
    return json.dumps({"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"})


def captured(*lines: str) -> Captured:
    found = Captured()
    found.add(lines)
    return found


def test_answers_are_paired_by_inference_id_or_by_request() -> None:
    coded = base64.b64encode(b'{"y": 1}').decode()
    production = captured(
        line('{"y": 1.0}', identity="one"),
        line('{"y": 2}', asked="3,4"),
        line('{"y": 2}', asked="3,4"),
        line('{"y": 3}', identity="alone"),
        "",
        line("x", asked=None),
        json.dumps({"captureData": {"endpointInput": {"data": "x"}}}),
        "{}",
    )
    shadow = captured(
        line(coded, identity="one", encoding="BASE64"),
        line('{"y": 2.1}', asked="3,4"),
        line('{"y": 2}', asked="3,4"),
        line("no base64", identity="other", encoding="BASE64"),
    )
    exact = agreement(production, shadow, tolerance=0, relative=0)
    assert (exact.compared, exact.equal, len(exact.different)) == (3, 2, 1)
    assert exact.share == pytest.approx(2 / 3)
    assert agreement(production, shadow, tolerance=0.2, relative=0) == Agreement(3, 3)
    assert agreement(production, shadow, tolerance=0, relative=0.1).equal == 3
    assert agreement(production, captured(), tolerance=0, relative=0).share is None


def test_texts_are_compared_as_they_are() -> None:
    one, other = captured(line("a\n", identity="1")), captured(line("a", identity="1"))
    assert agreement(one, other, tolerance=0, relative=0).equal == 1
    assert agreement(one, captured(line("b", identity="1")), tolerance=0, relative=0) == Agreement(
        1, 0, ("1",)
    )


def test_a_request_is_named_once() -> None:
    one, other = (captured(*[line(text, identity="same")] * 3) for text in ("a", "b"))
    assert agreement(one, other, tolerance=0, relative=0) == Agreement(3, 0, ("same",))


def test_only_some_different_requests_are_named() -> None:
    one = captured(*(line("a", identity=str(number)) for number in range(30)))
    other = captured(*(line("b", identity=str(number)) for number in range(30)))
    assert len(agreement(one, other, tolerance=0, relative=0).different) == MOST_DIFFERENT


def test_the_prefixes_of_captured_hours() -> None:
    start, end = datetime(2026, 1, 1, 22, 59, tzinfo=UTC), datetime(2026, 1, 2, 0, 0, tzinfo=UTC)
    assert capture_prefixes("captured/", "churn", "main", start, end) == [
        "captured/churn/main/2026/01/01/22/",
        "captured/churn/main/2026/01/01/23/",
        "captured/churn/main/2026/01/02/00/",
    ]
    assert capture_prefixes("", "churn", "main", end, end) == ["churn/main/2026/01/02/00/"]


def test_the_table() -> None:
    busy = VariantMetrics(1000, 12.34, 99.9, 1, 0)
    table = report_table(("main", busy), ("shadow", VariantMetrics()), Agreement(8, 6))
    assert table == [
        "                      main  shadow",
        "invocations           1000       0",
        "mean latency (ms)     12.3       -",
        "longest latency (ms)  99.9       -",
        "4xx errors               1       0",
        "5xx errors               0       0",
        "agreement of answers: 6 of 8 (75.0 %)",
    ]
    assert "captures no data" in report_table(("a", busy), ("b", busy), None)[-1]
    assert "no request was captured of both" in report_table(("a", busy), ("b", busy), Agreement())[-1]
