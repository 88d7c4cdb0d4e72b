"""Multipart uploads of the local AWS that have ended: S3's answers, where moto has internal errors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws

WHERE = {"Bucket": "models", "Key": "k"}


@pytest.fixture
def s3(aws: LocalAws) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket="models")
    return client


def upload(s3: Any) -> dict[str, Any]:
    """Upload all but the last call; return its members."""
    upload_id = s3.create_multipart_upload(**WHERE)["UploadId"]
    etag = s3.upload_part(**WHERE, UploadId=upload_id, PartNumber=1, Body=b"1")["ETag"]
    return {**WHERE, "UploadId": upload_id, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}


@pytest.mark.parametrize("how", ["completed", "aborted"])
def test_a_part_of_an_upload_that_has_ended_is_refused(s3: Any, how: str) -> None:
    members = upload(s3)
    if how == "completed":
        s3.complete_multipart_upload(**members)
    else:
        s3.abort_multipart_upload(**WHERE, UploadId=members["UploadId"])
        with pytest.raises(ClientError, match="NoSuchUpload"):
            s3.complete_multipart_upload(**members)
    with pytest.raises(ClientError, match="NoSuchUpload"):
        s3.upload_part(**WHERE, UploadId=members["UploadId"], PartNumber=2, Body=b"2")


def test_an_upload_can_be_completed_again_and_by_several_at_once(s3: Any) -> None:
    members = upload(s3)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: s3.complete_multipart_upload(**members), range(4)))
    assert len({answer["ETag"] for answer in answers}) == 1
    assert s3.get_object(**WHERE)["Body"].read() == b"1"
