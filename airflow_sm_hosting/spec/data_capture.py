"""Data capture of an endpoint config."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.spec.checks import (
    check_boolean,
    check_kms_key,
    check_one_of,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.shape import Shape, Whole, s3_uri, some, text
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedBool, TemplatedInt, TemplatedStr

CaptureMode: TypeAlias = Literal["Input", "Output", "InputAndOutput"]
CAPTURE_MODES = ("Input", "Output", "InputAndOutput")  # botocore, CaptureMode

#: botocore, CsvContentType and JsonContentType.
_CONTENT_TYPES = some(
    text(
        r"[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*",
        256,
        "a content type such as 'text/csv', of 256 characters at most",
    ),
    10,
)


def _check_option(where: str, option: Any) -> None:
    """Check a ``CaptureOption``."""
    if is_rendered_later(option):
        return
    if not isinstance(option, dict):
        raise invalid(where, option, "a dict with CaptureMode")
    check_one_of(where, option.get("CaptureMode"), CAPTURE_MODES)


#: All limits: botocore, DataCaptureConfig.
DATA_CAPTURE = Shape(
    "DataCaptureConfig",
    {
        "destination_s3_uri": ("DestinationS3Uri", s3_uri()),
        "initial_sampling_percentage": ("InitialSamplingPercentage", Whole(0, 100)),
        "capture_options": ("CaptureOptions", some(_check_option, 32)),
        "enable_capture": ("EnableCapture", check_boolean),
        "kms_key_id": ("KmsKeyId", check_kms_key),
        "csv_content_types": ("CaptureContentTypeHeader.CsvContentTypes", _CONTENT_TYPES),
        "json_content_types": ("CaptureContentTypeHeader.JsonContentTypes", _CONTENT_TYPES),
    },
    required=("DestinationS3Uri", "InitialSamplingPercentage", "CaptureOptions"),
)


class DataCapture(dict[str, Any]):
    """What an endpoint records of its requests and answers, in the shape of ``DataCaptureConfig``.

    Files come minutes later, below ``<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/``. Without permission to write there, SageMaker
    writes nothing and tells no error. Not for serverless variants.

    :param destination_s3_uri: ``s3://`` prefix of the files, 512 characters at most. (templated)
    :param initial_sampling_percentage: Share of the requests that is recorded, 0 to 100. (templated)
    :param capture_options: ``"Input"``, ``"Output"`` or ``"InputAndOutput"``, 1 to 32 of them (default: input and output). (templated)
    :param enable_capture: Whether anything is recorded (default: AWS's, True). (templated)
    :param kms_key_id: Key of the files, as id, alias or ARN (default: none). (templated)
    :param csv_content_types: Content types that are recorded as CSV, 1 to 10; others are BASE64 (default: none). (templated)
    :param json_content_types: Content types that are recorded as JSON, 1 to 10 (default: none). (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataCaptureConfig.html
    """

    def __init__(
        self,
        *,
        destination_s3_uri: TemplatedStr,
        initial_sampling_percentage: TemplatedInt,
        capture_options: Sequence[CaptureMode | TemplatedStr] | RenderedLater = ("Input", "Output"),
        enable_capture: TemplatedBool | None = None,
        kms_key_id: TemplatedStr | None = None,
        csv_content_types: Sequence[TemplatedStr] | RenderedLater | None = None,
        json_content_types: Sequence[TemplatedStr] | RenderedLater | None = None,
        **members: Any,
    ) -> None:
        options: Any = capture_options
        if isinstance(capture_options, list | tuple):
            options = [{"CaptureMode": mode} for mode in capture_options]
        values = {**locals(), "capture_options": options}
        super().__init__(DATA_CAPTURE.made(type(self).__name__, values, members))
