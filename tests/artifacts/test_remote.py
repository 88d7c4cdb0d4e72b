"""Archives that are not on this machine: read once, copied by S3, or brought through Airflow's object storage."""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.s3 import models as moto_models

from airflow_sm_hosting.artifacts import checksums, transfer
from airflow_sm_hosting.artifacts.remote import downloaded, object_in_s3
from airflow_sm_hosting.artifacts.upload import Storage, UploadResult, content_key, upload_if_absent
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError

log = logging.getLogger(__name__)
PART = 1000


def archive(size: int = 5000) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("weights.bin")
        info.size = size
        tar.addfile(info, io.BytesIO(random.randbytes(size)))
    return gzip.compress(stream.getvalue(), mtime=0)


def put(s3: Any, body: bytes) -> None:
    s3.put_object(Bucket="trained", Key="run 1/model.tar.gz", Body=body)


def copied(s3: Any, storage: Storage | None = None) -> UploadResult:
    artifact = object_in_s3(s3, "trained", "run 1/model.tar.gz", log=log)
    key = content_key("", "churn", artifact.sha256)
    return upload_if_absent(s3, artifact, bucket="models", key=key, storage=storage, log=log)


def stored(s3: Any, result: UploadResult) -> bytes:
    return bytes(s3.get_object(Bucket="models", Key=result.uri.removeprefix("s3://models/"))["Body"].read())


def test_s3_copies_what_was_read_once(s3: Any, calls: list[str]) -> None:
    body = archive()
    put(s3, body)
    calls.clear()
    storage = Storage("aws:kms", "alias/models", "STANDARD_IA", {"team": "churn"})
    result = copied(s3, storage)
    assert calls == ["GetObject", "HeadObject", "CopyObject", "HeadObject"]
    assert result.uri == f"s3://models/churn/{hashlib.sha256(body).hexdigest()}.tar.gz"
    assert stored(s3, result) == body
    where = {"Bucket": "models", "Key": result.uri.removeprefix("s3://models/")}
    assert storage.difference(s3.head_object(**where)) is None
    assert s3.get_object_tagging(**where)["TagSet"] == [{"Key": "team", "Value": "churn"}]
    calls.clear()
    assert not copied(s3).uploaded
    assert calls == ["GetObject", "HeadObject"]


def test_a_large_object_is_copied_in_parts(
    s3: Any, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LARGEST_COPY", 1)
    monkeypatch.setattr(checksums, "PART_SIZE", PART)
    monkeypatch.setattr(moto_models, "S3_UPLOAD_PART_MIN_SIZE", 1)
    body = archive()
    put(s3, body)
    result = copied(s3)
    assert stored(s3, result) == body
    assert calls.count("UploadPartCopy") == -(-len(body) // PART)
    assert "UploadPart" not in calls
    assert s3.list_multipart_uploads(Bucket="models").get("Uploads") is None


@pytest.mark.parametrize("in_parts", [False, True])
def test_an_object_that_is_replaced_meanwhile_is_not_copied(
    s3: Any, monkeypatch: pytest.MonkeyPatch, in_parts: bool
) -> None:
    if in_parts:
        monkeypatch.setattr(transfer, "LARGEST_COPY", 1)
    put(s3, archive())
    artifact = object_in_s3(s3, "trained", "run 1/model.tar.gz", log=log)
    put(s3, archive())
    now = s3.head_object(Bucket="trained", Key="run 1/model.tar.gz")["ETag"]

    def check(model: Any, params: dict[str, Any], **_: Any) -> None:
        """Refuse as S3 does (API_CopyObject); moto does not."""
        if params["headers"]["x-amz-copy-source-if-match"] != now:
            answer = {"Error": {"Code": "PreconditionFailed"}, "ResponseMetadata": {"HTTPStatusCode": 412}}
            raise ClientError(answer, model.name)

    s3.meta.events.register(
        "before-call.s3.UploadPartCopy" if in_parts else "before-call.s3.CopyObject", check
    )
    with pytest.raises(ModelDataError, match="was written anew while it was uploaded"):
        upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log)
    assert "Contents" not in s3.list_objects_v2(Bucket="models")
    assert s3.list_multipart_uploads(Bucket="models").get("Uploads") is None


def test_the_bytes_that_were_read_are_copied_without_the_permission_for_versions(s3: Any) -> None:
    """By their ETag; moto does not look at it, and copies what is there now: that is found by its checksum."""
    s3.put_bucket_versioning(Bucket="trained", VersioningConfiguration={"Status": "Enabled"})
    put(s3, archive())
    artifact = object_in_s3(s3, "trained", "run 1/model.tar.gz", log=log)
    asked: list[dict[str, Any]] = []
    s3.meta.events.register("provide-client-params.s3.CopyObject", lambda params, **_: asked.append(params))
    put(s3, archive())
    with pytest.raises(ModelDataError, match="the object in S3 differs"):
        upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log)
    [copied] = asked
    assert copied["CopySource"] == "trained/run%201/model.tar.gz"
    assert artifact.source is not None
    assert copied["CopySourceIfMatch"] == artifact.source.etag


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"plain", InvalidSpecError, "not compressed with gzip"),
        (b"", InvalidSpecError, "not compressed with gzip"),
        (archive()[:-100], ModelDataError, "is incomplete"),
    ],
)
def test_what_sagemaker_could_not_unpack_is_not_copied(
    s3: Any, body: bytes, error: type[Exception], words: str
) -> None:
    put(s3, body)
    with pytest.raises(error, match=f"s3://trained/run 1/model.tar.gz.*{words}"):
        copied(s3)


def test_an_object_that_does_not_exist_is_named(s3: Any) -> None:
    with pytest.raises(NotFoundError, match=r"s3://trained/run 1/model\.tar\.gz does not exist"):
        copied(s3)


def test_another_storage_is_read_through_airflow(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "here").mkdir()
    body = archive()
    (tmp_path / "there" / "m.tar.gz").write_bytes(body)
    found = downloaded(f"file://{tmp_path}/there/m.tar.gz", workdir=tmp_path / "here", log=log)
    assert found.sha256 == hashlib.sha256(body).hexdigest()
    assert found.path.parent == tmp_path / "here"
    with pytest.raises(InvalidSpecError, match="does not exist"):
        downloaded(f"file://{tmp_path}/gone.tar.gz", workdir=tmp_path / "here", log=log)
    with pytest.raises(InvalidSpecError, match="install the Airflow provider"):
        downloaded("nosuch://bucket/m.tar.gz", workdir=tmp_path / "here", log=log)
