"""Data capture: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting.local.runtime.capture import record
from tests.local.data_plane import Answer, DataPlane, data_plane, echo

AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def plane_() -> Iterator[DataPlane]:
    with data_plane() as plane:
        yield plane


@pytest.fixture
def plane(plane_: DataPlane) -> DataPlane:
    plane_.reset()
    return plane_


def capture(
    uri: str = "s3://b/p", modes: tuple[Any, ...] = ("InputAndOutput",), percentage: int = 100, **more: Any
) -> Any:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": percentage,
        "DestinationS3Uri": uri,
        "CaptureOptions": [{"CaptureMode": mode} for mode in modes],
        **more,
    }


def test_invocations_are_written_as_json_lines_each_minute(plane: DataPlane) -> None:
    """The page's example: captureData, eventMetadata, eventVersion; the path by variant and hour."""
    bucket = plane.bucket()
    types = {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]}
    config = capture(f"s3://{bucket}/captured/", CaptureContentTypeHeader=types)
    endpoint = plane.serving(
        lambda asked: Answer(b'{"y": 1}', content_type="application/json; charset=utf-8"),
        DataCaptureConfig=config,
    )
    for number in range(2):
        plane.invoke(endpoint, b"%d,2" % number, ContentType="text/csv", InferenceId=f"i-{number}")
    assert plane.objects(bucket) == {}
    now = plane.clock.now()
    plane.clock.advance(60)
    ((key, data),) = plane.objects(bucket).items()
    assert re.fullmatch(rf"captured/{endpoint}/main/{now:%Y/%m/%d/%H}/[\w-]+\.jsonl", key)
    first, second = map(json.loads, data.decode().splitlines())
    assert first["captureData"] == {
        "endpointInput": {
            "observedContentType": "text/csv",
            "mode": "INPUT",
            "data": "0,2",
            "encoding": "CSV",
        },
        "endpointOutput": {
            "observedContentType": "application/json; charset=utf-8",
            "mode": "OUTPUT",
            "data": '{"y": 1}',
            "encoding": "JSON",
        },
    }
    assert first["eventVersion"] == "0"
    assert first["eventMetadata"]["inferenceTime"] == f"{now:%Y-%m-%dT%H:%M:%SZ}"
    # API_runtime_InvokeEndpoint.html, InferenceId: "it is added to the captured data"
    assert [one["eventMetadata"]["inferenceId"] for one in (first, second)] == ["i-0", "i-1"]
    assert first["eventMetadata"]["eventId"] != second["eventMetadata"]["eventId"]
    plane.clock.advance(60)
    assert len(plane.objects(bucket)) == 1


@pytest.mark.parametrize(
    "config",
    [{"percentage": 0}, {"EnableCapture": False}],
    ids=["none in the sample", "switched off"],
)
def test_what_is_not_captured(plane: DataPlane, config: dict[str, Any]) -> None:
    bucket = plane.bucket()
    endpoint = plane.serving(echo, DataCaptureConfig=capture(f"s3://{bucket}/", **config))
    plane.invoke(endpoint)
    plane.clock.advance(60)
    assert plane.objects(bucket) == {}


def test_the_sample_is_about_as_large_as_it_should_be(plane: DataPlane) -> None:
    """API_DataCaptureConfig.html: InitialSamplingPercentage. Of 200 at 50 %, fewer than 60 or more than 140 come once in 10^8."""
    bucket = plane.bucket()
    endpoint = plane.serving(echo, DataCaptureConfig=capture(f"s3://{bucket}/p", percentage=50))
    route = plane.hosting.endpoints.find(endpoint)
    for _ in range(200):
        plane.hosting.runtime._capture.note(route.config, endpoint, "main", {"Body": b""}, "", b"")
    plane.clock.advance(60)
    (data,) = plane.objects(bucket).values()
    assert 60 <= len(data.splitlines()) <= 140


def test_a_bucket_that_is_not_there_does_not_disturb(plane: DataPlane) -> None:
    endpoint = plane.serving(echo, DataCaptureConfig=capture("s3://absent/p"))
    assert plane.invoke(endpoint)["Body"] == b"1,2"
    plane.clock.advance(60)
    assert plane.invoke(endpoint)["Body"] == b"1,2"


def test_what_a_failed_invocation_was_asked_is_not_captured(plane: DataPlane) -> None:
    """Assumed."""
    bucket = plane.bucket()
    endpoint = plane.serving(lambda asked: Answer(status=500), DataCaptureConfig=capture(f"s3://{bucket}/p"))
    with pytest.raises(plane.runtime.exceptions.ModelError):
        plane.invoke(endpoint)
    plane.clock.advance(60)
    assert plane.objects(bucket) == {}


@pytest.mark.parametrize(
    ("types", "content_type", "encoding"),
    [
        # API_DataCaptureConfig.html: "If no headers are specified … base64 encode"
        ({}, "text/csv", "BASE64"),
        ({"CsvContentTypes": ["text/csv"]}, "text/csv", "CSV"),
        ({"CsvContentTypes": ["text/csv"]}, "TEXT/CSV; charset=utf-8", "CSV"),
        ({"CsvContentTypes": ["text/csv"]}, "application/json", "BASE64"),
        ({"JsonContentTypes": ["application/x-own"]}, "application/x-own", "JSON"),
        ({"JsonContentTypes": ["application/json"]}, "", "BASE64"),
    ],
)
def test_how_data_is_encoded(types: dict[str, Any], content_type: str, encoding: str) -> None:
    asked = {"Body": b"1,2", "ContentType": content_type}
    told = record(capture(CaptureContentTypeHeader=types), asked, "", b"", AT)["captureData"]["endpointInput"]
    assert told["encoding"] == encoding
    assert told["data"] == (base64.b64encode(b"1,2").decode() if encoding == "BASE64" else "1,2")


def test_what_is_no_text_is_base64_whatever_its_type() -> None:
    asked = {"Body": b"\xff", "ContentType": "text/csv"}
    types = {"CsvContentTypes": ["text/csv"]}
    told = record(capture(CaptureContentTypeHeader=types), asked, "", b"", AT)["captureData"]["endpointInput"]
    assert (told["encoding"], base64.b64decode(told["data"])) == ("BASE64", b"\xff")


@pytest.mark.parametrize(
    ("modes", "sides"),
    [
        (["Input"], {"endpointInput"}),
        (["Output"], {"endpointOutput"}),
        (["Input", "Output"], {"endpointInput", "endpointOutput"}),
        (["InputAndOutput"], {"endpointInput", "endpointOutput"}),
    ],
)
def test_which_side_is_captured(modes: list[Any], sides: set[Any]) -> None:
    """API_CaptureOption.html."""
    assert set(record(capture(modes=modes), {"Body": b""}, "", b"", AT)["captureData"]) == sides
