"""Data capture: what endpoints were asked and what they answered, as JSON lines in S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

from __future__ import annotations

import base64
import json
import logging
import random
import threading
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.moto_bridge import s3
from airflow_sm_hosting.local.sagemaker.model_data import location_of

LOG = logging.getLogger(__name__)


class Capture:
    """Keeps what is captured until the next :meth:`flush`.

    :param clock: What tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._random = random.SystemRandom()
        self._lock = threading.Lock()
        # Lines by the folder that they go to.
        self._lines: defaultdict[str, list[str]] = defaultdict(list)

    def note(
        self,
        config: Mapping[str, Any],
        endpoint_name: str,
        variant_name: str,
        asked: Mapping[str, Any],
        content_type: str,
        answer: bytes,
    ) -> None:
        """Keep an invocation, if the endpoint config says so and it is in the sample.

        :param config: The endpoint config.
        :param asked: What was asked: ``Body``, ``ContentType``, ``InferenceId``, …
        :param content_type: The answer's.
        """
        capture = config.get("DataCaptureConfig")
        # "Whether data capture should be enabled or disabled (defaults to enabled)": API_DataCaptureConfig.html
        if not capture or not capture.get("EnableCapture", True):
            return
        if self._random.random() * 100 >= capture["InitialSamplingPercentage"]:
            return
        now = self._clock.now()
        uri = capture["DestinationS3Uri"].rstrip("/")
        folder = f"{uri}/{endpoint_name}/{variant_name}/{now:%Y/%m/%d/%H}"
        line = json.dumps(record(capture, asked, content_type, answer, now))
        with self._lock:
            self._lines[folder].append(line)

    def flush(self) -> None:
        """Write what was kept, one object for each variant and hour."""
        with self._lock:
            lines, self._lines = self._lines, defaultdict(list)
        now = self._clock.now()
        for folder, those in lines.items():
            # Minute, second, millisecond: the name's form is assumed.
            name = f"{now:%M-%S}-{now.microsecond // 1000:03}-{uuid4()}.jsonl"
            bucket, key = location_of(f"{folder}/{name}")
            if not s3.write(bucket, key, "".join(f"{line}\n" for line in those).encode()):
                LOG.warning("captured data is lost: there is no bucket %s", bucket)


def record(
    capture: Mapping[str, Any], asked: Mapping[str, Any], content_type: str, answer: bytes, at: datetime
) -> dict[str, Any]:
    """Return what is written of one invocation.

    :param capture: The ``DataCaptureConfig``.
    :param at: When it was.
    """
    modes = {option["CaptureMode"] for option in capture["CaptureOptions"]}
    types = capture.get("CaptureContentTypeHeader", {})
    captured = {}
    if modes & {"Input", "InputAndOutput"}:
        captured["endpointInput"] = _captured("INPUT", asked.get("ContentType", ""), asked["Body"], types)
    if modes & {"Output", "InputAndOutput"}:
        captured["endpointOutput"] = _captured("OUTPUT", content_type, answer, types)
    metadata: dict[str, Any] = {"eventId": str(uuid4()), "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}"}
    if "InferenceId" in asked:
        metadata["inferenceId"] = asked["InferenceId"]
    if "CustomAttributes" in asked:
        metadata["customAttributes"] = [asked["CustomAttributes"]]
    return {"captureData": captured, "eventMetadata": metadata, "eventVersion": "0"}


def _captured(mode: str, content_type: str, data: bytes, types: Mapping[str, Any]) -> dict[str, Any]:
    encoding = _encoding(content_type, types)
    text: str | None = None
    if encoding != "BASE64":
        try:
            text = data.decode()
        except UnicodeDecodeError:
            encoding = "BASE64"
    return {
        "observedContentType": content_type,
        "mode": mode,
        "data": base64.b64encode(data).decode() if text is None else text,
        "encoding": encoding,
    }


def _encoding(content_type: str, types: Mapping[str, Any]) -> str:
    """Return how data of a type is written.

    "If no headers are specified SageMaker AI will by default base64 encode when capturing the data":
    API_DataCaptureConfig.html
    """
    plain = content_type.partition(";")[0].strip().lower()
    for member, encoding in (("CsvContentTypes", "CSV"), ("JsonContentTypes", "JSON")):
        if plain in (one.lower() for one in types.get(member, ())):
            return encoding
    return "BASE64"
