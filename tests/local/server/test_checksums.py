"""S3 of the local AWS refuses bytes that have another checksum than was said, as S3 does."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws

PART = 5 * 1024 * 1024


def coded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc32(data: bytes) -> str:
    return coded(zlib.crc32(data).to_bytes(4, "big"))


@pytest.fixture
def s3(aws: LocalAws) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket="models")
    return client


@pytest.mark.parametrize(
    ("member", "of"),
    [
        ("ChecksumCRC32", crc32),
        ("ChecksumSHA1", lambda data: coded(hashlib.sha1(data).digest())),
        ("ChecksumSHA256", lambda data: coded(hashlib.sha256(data).digest())),
    ],
)
def test_an_object_is_stored_only_with_its_checksum(s3: Any, member: str, of: Any) -> None:
    with pytest.raises(ClientError, match="BadDigest"):
        s3.put_object(Bucket="models", Key="k", Body=b"other", **{member: of(b"bytes")})
    assert "Contents" not in s3.list_objects_v2(Bucket="models")
    s3.put_object(Bucket="models", Key="k", Body=b"bytes", **{member: of(b"bytes")})
    assert s3.get_object(Bucket="models", Key="k")["Body"].read() == b"bytes"


def test_a_checksum_in_a_trailer_is_not_looked_at(s3: Any) -> None:
    """As botocore sends it for a stream; moto reads it."""
    s3.put_object(Bucket="models", Key="k", Body=b"bytes", ChecksumAlgorithm="CRC32")
    assert s3.head_object(Bucket="models", Key="k", ChecksumMode="ENABLED")["ChecksumCRC32"] == crc32(
        b"bytes"
    )


@pytest.mark.parametrize("is_right", [True, False])
def test_parts_are_completed_only_with_the_checksum_of_all(s3: Any, is_right: bool) -> None:
    bodies = [b"a" * PART, b"b"]
    upload = {"Bucket": "models", "Key": "k"}
    upload["UploadId"] = s3.create_multipart_upload(
        **upload, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
    )["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    said = crc32(b"".join(bodies) if is_right else b"other")
    completing = lambda: s3.complete_multipart_upload(  # noqa: E731
        **upload, MultipartUpload={"Parts": parts}, ChecksumCRC32=said, ChecksumType="FULL_OBJECT"
    )
    if is_right:
        completing()
        assert s3.head_object(Bucket="models", Key="k", ChecksumMode="ENABLED")["ChecksumCRC32"] == said
    else:
        with pytest.raises(ClientError, match="BadDigest"):
            completing()
        assert "Contents" not in s3.list_objects_v2(Bucket="models")


def test_an_answer_tells_the_region_of_its_bucket(s3: Any) -> None:
    place = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    s3.create_bucket(Bucket="there", **place)
    for bucket, region in (("models", "us-east-1"), ("there", "eu-west-1")):
        s3.put_object(Bucket=bucket, Key="k", Body=b"1")
        found = s3.head_object(Bucket=bucket, Key="k")
        assert found["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == region
