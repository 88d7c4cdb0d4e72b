from __future__ import annotations

import gzip
import hashlib
import logging
import os
import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.artifacts import checksums, transfer
from airflow_sm_hosting.artifacts.checksums import Checksums, base64_of
from airflow_sm_hosting.artifacts.packing import PackedArtifact, pack
from airflow_sm_hosting.artifacts.upload import Storage, _has_key, content_key, upload_if_absent
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError
from airflow_sm_hosting.spec.s3_location import S3Location

log = logging.getLogger(__name__)


def zipped(data: bytes, level: int = 9) -> bytes:
    """Return the bytes compressed, without the time: they are in the names of tests."""
    return gzip.compress(data, level, mtime=0)


SHA = "ab" * 32


@pytest.fixture
def artifact(tmp_path: Path) -> PackedArtifact:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights").write_bytes(b"w" * 1000)
    return pack(folder, workdir=tmp_path)


@pytest.mark.parametrize(
    ("prefix", "name", "key"),
    [
        ("", "churn", f"churn/{SHA}.tar.gz"),
        ("models", "churn", f"models/churn/{SHA}.tar.gz"),
        ("/models/eu/", "churn", f"models/eu/churn/{SHA}.tar.gz"),
        ("", "", f"{SHA}.tar.gz"),
    ],
)
def test_the_key_is_made_of_the_content(prefix: str, name: str, key: str) -> None:
    assert content_key(prefix, name, SHA) == key


def test_a_key_that_s3_would_refuse_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="1024"):
        content_key("p" * 1000, "churn", SHA)
    with pytest.raises(InvalidSpecError, match="not a SHA-256"):
        content_key("", "churn", "latest")


def test_it_uploads_once(s3: Any, artifact: PackedArtifact, calls: list[str]) -> None:
    key = content_key("m", "churn", artifact.sha256)
    first = upload_if_absent(s3, artifact, bucket="models", key=key, log=log)
    assert first.uploaded
    assert first.uri == f"s3://models/{key}"
    assert calls == ["HeadObject", "PutObject", "HeadObject"]
    calls.clear()
    second = upload_if_absent(s3, artifact, bucket="models", key=key, log=log)
    assert not second.uploaded
    assert calls == ["HeadObject"]
    assert (second.uri, second.etag, second.size) == (first.uri, first.etag, artifact.size)
    stored = s3.get_object(Bucket="models", Key=key)
    assert stored["Body"].read() == artifact.path.read_bytes()
    assert stored["Metadata"] == {"sha256": artifact.sha256, "crc32": base64_of(artifact.checksums.crc32)}


def test_something_else_under_the_key_is_replaced(s3: Any, artifact: PackedArtifact) -> None:
    s3.put_object(Bucket="models", Key="k.tar.gz", Body=b"overwritten by hand")
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert s3.get_object(Bucket="models", Key="k.tar.gz")["Body"].read() == artifact.path.read_bytes()


def recompressed(artifact: PackedArtifact) -> bytes:
    """Return the same tar stream compressed by another compressor."""
    return zipped(gzip.decompress(artifact.path.read_bytes()), 9)


def put_without_checksum(s3: Any, body: bytes, sha256: str) -> None:
    """Put an object as version 0.1.0 did: with the digest that was meant, and without a checksum."""
    s3.put_object(Bucket="models", Key="k.tar.gz", Body=body, Metadata={"sha256": sha256})
    held = s3.head_object(Bucket="models", Key="k.tar.gz", ChecksumMode="ENABLED")
    assert "ChecksumCRC32" not in held


@pytest.fixture
def no_default_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")


@pytest.mark.parametrize("temporary", [True, False], ids=["folder", "archive"])
@pytest.mark.usefixtures("no_default_checksums")
def test_an_object_without_a_checksum_is_read_once(
    s3: Any, artifact: PackedArtifact, calls: list[str], temporary: bool
) -> None:
    body = recompressed(artifact) if temporary else artifact.path.read_bytes()
    if not temporary:
        artifact = replace(artifact, sha256=hashlib.sha256(body).hexdigest(), temporary=False)
    put_without_checksum(s3, body, artifact.sha256)
    calls.clear()
    assert not upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert calls == ["HeadObject", "GetObject", "CopyObject", "HeadObject"]
    held = s3.head_object(Bucket="models", Key="k.tar.gz", ChecksumMode="ENABLED")
    assert held["ChecksumCRC32"] == base64_of(zlib.crc32(body))
    assert held["Metadata"]["sha256"] == artifact.sha256
    calls.clear()
    assert not upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert calls == ["HeadObject"]


@pytest.mark.parametrize("body", [b"other bytes", zipped(b"another tar")])
@pytest.mark.usefixtures("no_default_checksums")
def test_an_object_that_lies_about_its_content_is_replaced(
    s3: Any, artifact: PackedArtifact, body: bytes
) -> None:
    put_without_checksum(s3, body, artifact.sha256)
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert s3.get_object(Bucket="models", Key="k.tar.gz")["Body"].read() == artifact.path.read_bytes()


def test_other_bytes_with_the_right_metadata_are_replaced(s3: Any, artifact: PackedArtifact) -> None:
    """The checksum is S3's own."""
    metadata = {"sha256": artifact.sha256, "crc32": base64_of(artifact.checksums.crc32)}
    s3.put_object(
        Bucket="models",
        Key="k.tar.gz",
        Body=bytes(artifact.size),
        Metadata=metadata,
        ChecksumAlgorithm="CRC32",
    )
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert s3.get_object(Bucket="models", Key="k.tar.gz")["Body"].read() == artifact.path.read_bytes()


def test_the_archive_of_another_compressor_is_taken_by_its_own_checksum(
    s3: Any, artifact: PackedArtifact
) -> None:
    body = recompressed(artifact)
    metadata = {"sha256": artifact.sha256, "crc32": base64_of(zlib.crc32(body))}
    s3.put_object(Bucket="models", Key="k.tar.gz", Body=body, Metadata=metadata, ChecksumAlgorithm="CRC32")
    assert not upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded


def test_a_file_that_was_written_anew_is_not_uploaded(
    s3: Any, artifact: PackedArtifact, calls: list[str]
) -> None:
    """Also with the same size and its time set back."""
    state = artifact.path.stat()
    artifact.path.write_bytes(bytes(artifact.size))
    os.utime(artifact.path, ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(ModelDataError, match="written anew while it was uploaded"):
        upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log)
    assert calls == ["HeadObject"]


@pytest.mark.parametrize(
    ("there", "asked", "uploaded"),
    [
        (None, "alias/models", True),
        ("alias/other", "alias/models", True),
        ("alias/models", "alias/models", False),
        ("arn:aws:kms:us-east-1:123456789012:key/1234", "1234", False),
        ("arn:aws:kms:us-east-1:123456789012:key/1234", "arn:aws:kms:us-east-1:123456789012:key/1234", False),
        ("arn:aws:kms:us-east-1:123456789012:key/1234", "4", True),
        ("alias/models", None, False),
    ],
)
def test_an_object_with_another_kms_key_is_uploaded_again(
    s3: Any, artifact: PackedArtifact, there: str | None, asked: str | None, uploaded: bool
) -> None:
    upload_if_absent(
        s3, artifact, bucket="models", key="k.tar.gz", storage=Storage(kms_key_id=there), log=log
    )
    again = upload_if_absent(
        s3, artifact, bucket="models", key="k.tar.gz", storage=Storage(kms_key_id=asked), log=log
    )
    assert again.uploaded is uploaded
    if asked and uploaded:
        assert s3.head_object(Bucket="models", Key="k.tar.gz")["SSEKMSKeyId"] == asked


def test_an_alias_counts_by_what_was_asked_for_then(s3: Any, artifact: PackedArtifact) -> None:
    """S3 answers the key's ARN, which does not show the alias."""
    held = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "arn:aws:kms:us-east-1:123456789012:key/1234"}
    assert _has_key({**held, "Metadata": {"kms-key-id": "alias/models"}}, "alias/models")
    assert not _has_key({**held, "Metadata": {}}, "alias/models")


def test_a_large_artifact_goes_in_parts(
    s3: Any, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 * 1024 * 1024  # the smallest that S3 allows
    monkeypatch.setattr(transfer, "THRESHOLD", part)
    monkeypatch.setattr(checksums, "PART_SIZE", part)
    path = tmp_path / "large.tar.gz"
    with path.open("wb") as file:
        file.truncate(part + 1)
    data = path.read_bytes()
    artifact = PackedArtifact(path, SHA, Checksums(zlib.crc32(data)), len(data), temporary=False)
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert sorted(calls) == sorted(
        [
            "HeadObject",
            "ListMultipartUploads",
            "CreateMultipartUpload",
            "UploadPart",
            "UploadPart",
            "CompleteMultipartUpload",
            "HeadObject",
        ]
    )


@pytest.mark.parametrize("size", [1, 6 * 1024 * 1024], ids=["one call", "parts"])
def test_what_a_killed_upload_has_left_is_aborted(
    s3: Any, tmp_path: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Only of this key, and only before an upload in parts: the listing is one more call."""
    part = 5 * 1024 * 1024
    monkeypatch.setattr(transfer, "THRESHOLD", part)
    monkeypatch.setattr(checksums, "PART_SIZE", part)
    monkeypatch.setattr(transfer, "IDLE", timedelta())
    for key in ("k.tar.gz", "k.tar.gz", "k.tar.gz.other", "another"):
        s3.create_multipart_upload(Bucket="models", Key=key)
    path = tmp_path / "large.tar.gz"
    path.write_bytes(bytes(size))
    artifact = PackedArtifact(path, SHA, Checksums(zlib.crc32(bytes(size))), size, temporary=False)
    calls.clear()
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    assert calls.count("AbortMultipartUpload") == (2 if size > part else 0)
    left = [one["Key"] for one in s3.list_multipart_uploads(Bucket="models")["Uploads"]]
    assert sorted(left) == ["another", *(["k.tar.gz"] * 2 if size == 1 else []), "k.tar.gz.other"]


def test_an_upload_that_gets_parts_is_left_to_its_run(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THRESHOLD", 1)
    other = s3.create_multipart_upload(Bucket="models", Key="k.tar.gz")["UploadId"]
    s3.upload_part(Bucket="models", Key="k.tar.gz", UploadId=other, PartNumber=1, Body=b"1")
    path = tmp_path / "m.tar.gz"
    path.write_bytes(b"12")
    artifact = PackedArtifact(path, SHA, Checksums(zlib.crc32(b"12")), 2, temporary=False)
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded
    [left] = s3.list_multipart_uploads(Bucket="models")["Uploads"]
    assert left["UploadId"] == other


def test_unfinished_uploads_that_may_not_be_listed_are_left(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THRESHOLD", 1)
    _answer(s3, "ListMultipartUploads", 403, "AccessDenied")
    path = tmp_path / "m.tar.gz"
    path.write_bytes(b"12")
    artifact = PackedArtifact(path, SHA, Checksums(zlib.crc32(b"12")), 2, temporary=False)
    assert upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log).uploaded


def test_it_is_encrypted_with_the_key_that_is_asked_for(s3: Any, artifact: PackedArtifact) -> None:
    upload_if_absent(
        s3, artifact, bucket="models", key="k.tar.gz", storage=Storage(kms_key_id="alias/models"), log=log
    )
    held = s3.head_object(Bucket="models", Key="k.tar.gz")
    assert (held["ServerSideEncryption"], held["SSEKMSKeyId"]) == ("aws:kms", "alias/models")


@pytest.mark.parametrize(
    ("wanted", "held", "difference"),
    [
        (Storage(), {}, None),
        (Storage(server_side_encryption="AES256"), {}, None),
        (
            Storage(server_side_encryption="AES256"),
            {"ServerSideEncryption": "aws:kms"},
            "encrypted with aws:kms",
        ),
        (Storage(server_side_encryption="aws:kms"), {"ServerSideEncryption": "aws:kms"}, None),
        (
            Storage(server_side_encryption="aws:kms:dsse"),
            {"ServerSideEncryption": "aws:kms"},
            "not with aws:kms:dsse",
        ),
        (Storage(kms_key_id="k"), {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": "k"}, None),
        (
            Storage(kms_key_id="k"),
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "l"},
            "not encrypted with k",
        ),
        (Storage(storage_class="STANDARD"), {}, None),
        (Storage(storage_class="STANDARD"), {"StorageClass": "GLACIER"}, "class GLACIER, not STANDARD"),
        (Storage(storage_class="STANDARD_IA"), {}, "class STANDARD, not STANDARD_IA"),
        (Storage(tags={"a": "b"}), {}, None),
    ],
)
def test_what_an_object_has_otherwise(wanted: Storage, held: dict[str, str], difference: str | None) -> None:
    found = wanted.difference(held)
    assert found is None if difference is None else difference in str(found)


@pytest.mark.parametrize("in_parts", [False, True])
def test_it_is_stored_as_asked_for(
    s3: Any, artifact: PackedArtifact, calls: list[str], monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    monkeypatch.setattr(transfer, "THRESHOLD", 1 if in_parts else 10**9)
    storage = Storage("aws:kms:dsse", "alias/models", "STANDARD_IA", {"team": "churn = +1", "stage": "a/b"})
    upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", storage=storage, log=log)
    assert "PutObjectTagging" not in calls  # the tags are there from the first moment
    held = s3.head_object(Bucket="models", Key="k.tar.gz")
    assert storage.difference(held) is None
    tags = s3.get_object_tagging(Bucket="models", Key="k.tar.gz")["TagSet"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == storage.tags


def test_tags_are_added_to_an_object_that_exists_and_others_stay(
    s3: Any, artifact: PackedArtifact, calls: list[str]
) -> None:
    def upload(**tags: str) -> dict[str, str]:
        calls.clear()
        upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", storage=Storage(tags=tags), log=log)
        made = list(calls)
        found = s3.get_object_tagging(Bucket="models", Key="k.tar.gz")["TagSet"]
        calls[:] = made
        return {tag["Key"]: tag["Value"] for tag in found}

    assert upload(a="1", b="2") == {"a": "1", "b": "2"}
    assert upload(b="3", c="4") == {"a": "1", "b": "3", "c": "4"}
    assert calls == ["HeadObject", "GetObjectTagging", "PutObjectTagging"]
    assert upload(b="3") == {"a": "1", "b": "3", "c": "4"}
    assert calls == ["HeadObject", "GetObjectTagging"]


def test_a_resumed_upload_gets_the_tags_of_this_task(
    s3: Any, artifact: PackedArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THRESHOLD", 1)
    where = {"Bucket": "models", "Key": "k.tar.gz"}
    kind = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT", "Tagging": "team=other"}
    metadata = {"sha256": artifact.sha256, "crc32": base64_of(artifact.checksums.crc32)}
    begun = s3.create_multipart_upload(**where, **kind, Metadata=metadata)["UploadId"]
    s3.upload_part(**where, UploadId=begun, PartNumber=1, Body=artifact.path.read_bytes())
    upload_if_absent(
        s3, artifact, bucket="models", key="k.tar.gz", storage=Storage(tags={"team": "churn"}), log=log
    )
    assert s3.get_object_tagging(**where)["TagSet"] == [{"Key": "team", "Value": "churn"}]


def test_a_version_is_told(s3: Any, artifact: PackedArtifact) -> None:
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    result = upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log)
    assert result.version_id == s3.head_object(Bucket="models", Key="k.tar.gz")["VersionId"]


def test_a_missing_bucket_is_said_so(s3: Any, artifact: PackedArtifact) -> None:
    with pytest.raises(NotFoundError, match="bucket 'nowhere' does not exist"):
        upload_if_absent(s3, artifact, bucket="nowhere", key="k.tar.gz", log=log)


def test_every_request_names_the_expected_owner(s3: Any, artifact: PackedArtifact) -> None:
    owners: list[str | None] = []
    s3.meta.events.register(
        "before-call.s3",
        lambda params, **_: owners.append(params["headers"].get("x-amz-expected-bucket-owner")),
    )
    upload_if_absent(
        s3, artifact, bucket="models", key="k.tar.gz", log=log, expected_bucket_owner="123456789012"
    )
    assert owners == ["123456789012"] * 3
    owners.clear()
    upload_if_absent(
        s3,
        artifact,
        bucket="models",
        key="k.tar.gz",
        log=log,
        storage=Storage(tags={"a": "b"}),
        expected_bucket_owner="123456789012",
    )
    assert owners == ["123456789012"] * 3


@pytest.mark.parametrize(
    "bucket", ["arn:aws:s3:us-east-1:123456789012:accesspoint/models", "models-abcdefghijklmnop-s3alias"]
)
def test_an_access_point_is_asked_at_its_own_host(
    s3: Any, artifact: PackedArtifact, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    """Without S3: moto has no objects behind access points."""
    monkeypatch.setattr(transfer, "THRESHOLD", 1)
    asked: list[tuple[str, str]] = []
    part = {"ETag": '"1"'}
    head = {"ContentLength": artifact.size, "ChecksumCRC32": base64_of(artifact.checksums.crc32), **part}
    answers: dict[str, list[Any]] = {
        "HeadObject": [None, head],
        "ListMultipartUploads": [{}],
        "CreateMultipartUpload": [{"UploadId": "1"}],
        "UploadPart": [part],
        "CompleteMultipartUpload": [part],
    }

    def answer(model: Any, params: dict[str, Any], **_: Any) -> Any:
        asked.append((model.name, params["url"].removeprefix("https://").partition("/")[0]))
        found = answers[model.name].pop(0)
        raw = type("Raw", (), {"status_code": 200 if found is not None else 404})()
        return raw, {
            **(found or {"Error": {"Code": "404"}}),
            "ResponseMetadata": {"HTTPStatusCode": raw.status_code},
        }

    s3.meta.events.register_last("before-call.s3", answer)
    found = upload_if_absent(s3, artifact, bucket=bucket, key="m/k.tar.gz", log=log)
    assert found.uri == f"s3://{bucket}/m/k.tar.gz"
    assert S3Location.parse(found.uri) == S3Location(bucket, "m/k.tar.gz")
    host = (
        "models-123456789012.s3-accesspoint.us-east-1.amazonaws.com"
        if bucket.startswith("arn")
        else f"{bucket}.s3.amazonaws.com"
    )
    assert {host} == {one for _, one in asked}
    assert [name for name, _ in asked] == [*answers, "HeadObject"]


def _answer(client: Any, operation: str, status: int, code: str) -> None:
    """Make S3 answer what moto never does."""

    def refuse(**_: object) -> None:
        raise ClientError(
            {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},
            operation,
        )

    client.meta.events.register(f"before-call.s3.{operation}", refuse)


@pytest.mark.parametrize(
    ("operation", "status", "code", "message"),
    [
        ("HeadObject", 403, "403", "s3:ListBucket"),
        ("PutObject", 403, "AccessDenied", "s3:PutObject"),
        ("HeadObject", 301, "301", "not in the task's Region"),
        ("HeadObject", 400, "400", "S3 rejected HeadObject"),
        ("PutObject", 500, "InternalError", "S3 rejected PutObject"),
    ],
)
def test_refusals_are_explained(
    s3: Any, artifact: PackedArtifact, operation: str, status: int, code: str, message: str
) -> None:
    _answer(s3, operation, status, code)
    with pytest.raises(ModelDataError, match=message):
        upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log)


def test_an_object_that_is_not_as_sent_is_an_error(s3: Any, artifact: PackedArtifact) -> None:
    other = boto3.client("s3", region_name="us-east-1")
    s3.meta.events.register(
        "after-call.s3.PutObject",
        lambda **_: other.put_object(Bucket="models", Key="k.tar.gz", Body=b"of another program"),
    )
    with pytest.raises(ModelDataError, match="but the object in S3 differs"):
        upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log)
