"""CopyModelDataOperator: an artifact of another Region or account is copied once, by S3 itself where it may be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import CopyModelDataOperator, UploadModelDataOperator
from airflow_sm_hosting.artifacts import checksums, transfer
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError
from airflow_sm_hosting.hooks import ModelDataHook
from airflow_sm_hosting.local import LocalAws
from tests.iam.conftest import Worker
from tests.operators.conftest import (
    answering,
    event_hook,
    operations,
    outcome,
    refusal,
    run_task,
    sent,
    task_id,
)
from tests.operators.test_upload_model_data import write_archive

#: What S3 sends or stores.
BYTES = ("GetObject", "PutObject", "CopyObject", "UploadPart", "UploadPartCopy")


@pytest.fixture(autouse=True)
def buckets(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    s3.create_bucket(Bucket="there", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


@pytest.fixture
def artifact(aws: LocalAws, dag: DAG, tmp_path: Path) -> str:
    """An artifact that UploadModelDataOperator made of a folder."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1" * 100)
    uploaded = run_task(
        UploadModelDataOperator(
            task_id=task_id("upload"), path=str(tmp_path / "model"), bucket_name="models", key_prefix="a"
        )
    )
    aws.clear_requests()
    return str(uploaded.value)


def copy(model_data: str, **options: Any) -> CopyModelDataOperator:
    return CopyModelDataOperator(
        **{
            "task_id": task_id("copy"),
            "model_data": model_data,
            "bucket_name": "there",
            "key_prefix": "b",
            "region_name": "eu-west-1",
            **options,
        }
    )


def content(aws: LocalAws, url: str) -> bytes:
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bytes(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def test_an_artifact_is_copied_to_another_region_by_s3_and_once(
    aws: LocalAws, dag: DAG, artifact: str
) -> None:
    first = run_task(copy(artifact))
    assert first.value == artifact.replace("s3://models/a/", "s3://there/b/")
    assert first.details["copied"]
    assert [one for one in operations(aws) if one in BYTES] == ["CopyObject"]
    assert content(aws, first.value) == content(aws, artifact)
    aws.clear_requests()
    again = run_task(copy(artifact))
    assert (again.value, again.details["copied"]) == (first.value, False)
    assert operations(aws) == ["HeadObject", "HeadObject"]


def test_a_copy_is_copied_on_under_the_same_digest(aws: LocalAws, dag: DAG, artifact: str) -> None:
    first = run_task(copy(artifact))
    back = run_task(copy(first.value, bucket_name="models", key_prefix="c", region_name=None))
    assert back.value == artifact.replace("/a/", "/c/")


def test_an_archive_of_others_is_read_once_and_copied_by_s3(aws: LocalAws, dag: DAG, tmp_path: Path) -> None:
    write_archive(tmp_path / "model.tar.gz", b"1", 1000)
    body = (tmp_path / "model.tar.gz").read_bytes()
    aws.client("s3").put_object(Bucket="models", Key="training/model.tar.gz", Body=body)
    first = run_task(copy("s3://models/training/model.tar.gz"))
    assert first.value == f"s3://there/b/{hashlib.sha256(body).hexdigest()}.tar.gz"
    aws.clear_requests()
    run_task(copy("s3://models/training/model.tar.gz"))
    assert [one for one in operations(aws) if one in BYTES] == ["GetObject"]


def test_metadata_that_lie_do_not_name_the_copy(aws: LocalAws, dag: DAG, tmp_path: Path) -> None:
    """Only what S3 has computed counts: the metadata are anybody's."""
    write_archive(tmp_path / "model.tar.gz", b"1", 1000)
    body = (tmp_path / "model.tar.gz").read_bytes()
    sha256 = "0" * 64
    aws.client("s3").put_object(
        Bucket="models",
        Key=f"{sha256}.tar.gz",
        Body=body,
        ChecksumAlgorithm="CRC32",
        Metadata={"sha256": sha256, "crc32": "AAAAAA=="},
    )
    copied = run_task(copy(f"s3://models/{sha256}.tar.gz"))
    assert copied.value == f"s3://there/b/{hashlib.sha256(body).hexdigest()}.tar.gz"


@pytest.fixture
def stranger(aws: LocalAws, artifact: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """The task's identity may write the copy, and not read the artifact, which another connection may."""
    user = Worker(aws)  # after root has made the artifact
    statements = [
        {"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::there", "arn:aws:s3:::there/*"]},
        {"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"},
    ]
    user.allow({"Version": "2012-10-17", "Statement": statements})
    monkeypatch.setenv("AIRFLOW_CONN_ARTIFACTS", json.dumps(aws.connection()))
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(user.connection()))
    aws.enforce_iam()
    yield user
    aws.enforce_iam(False)


@pytest.mark.parametrize("in_parts", [False, True])
def test_what_one_identity_may_not_read_is_streamed_with_the_other(
    aws: LocalAws, dag: DAG, stranger: Worker, artifact: str, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_parts:
        monkeypatch.setattr(transfer, "THRESHOLD", 1)
        monkeypatch.setattr(checksums, "PART_SIZE", 5 * 1024 * 1024)
    aws.clear_requests()
    first = run_task(copy(artifact, source_aws_conn_id="artifacts"))
    # A folder's digest is that of its tar stream, not of its archive: it stays.
    assert first.value == artifact.replace("s3://models/a/", "s3://there/b/")
    wanted = ["GetObject", "UploadPart" if in_parts else "PutObject"]
    assert [one for one in operations(aws) if one in BYTES] == wanted
    assert content(aws, first.value) == content(aws, artifact)
    aws.clear_requests()
    again = run_task(copy(artifact, source_aws_conn_id="artifacts"))
    assert (again.value, again.details["copied"]) == (first.value, False)
    assert operations(aws) == ["HeadObject", "HeadObject"]


def test_an_archive_of_others_that_may_not_be_read_is_streamed(
    aws: LocalAws, dag: DAG, tmp_path: Path, stranger: Worker
) -> None:
    write_archive(tmp_path / "model.tar.gz", b"1", 1000)
    body = (tmp_path / "model.tar.gz").read_bytes()
    aws.client("s3").put_object(Bucket="models", Key="model.tar.gz", Body=body)
    ran = run_task(copy("s3://models/model.tar.gz", source_aws_conn_id="artifacts"))
    assert content(aws, ran.value) == body


def test_another_connection_is_only_for_reading_where_s3_can_copy(
    aws: LocalAws, dag: DAG, artifact: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = aws.connection() | {"description": "another one"}
    root["extra"] = {**root.get("extra", {}), "config_kwargs": {"user_agent_extra": "other"}}
    monkeypatch.setenv("AIRFLOW_CONN_ARTIFACTS", json.dumps(root))
    run_task(copy(artifact, source_aws_conn_id="artifacts"))
    assert [one for one in operations(aws) if one in BYTES] == ["CopyObject"]


def test_an_artifact_that_changes_meanwhile_is_not_copied(aws: LocalAws, dag: DAG, tmp_path: Path) -> None:
    """S3 refuses it by its ETag, at which moto does not look; then its checksum is another one."""
    s3, hook = aws.client("s3"), ModelDataHook(region_name="eu-west-1")
    path = tmp_path / "model.tar.gz"
    write_archive(path, b"a", 1000)
    where = {"Bucket": "models", "Key": "model.tar.gz"}
    s3.put_object(**where, Body=path.read_bytes())
    etag = s3.head_object(**where)["ETag"]
    # Of another size: the CRC-32 of an archive that gzip only stores does not depend on its content, as gzip's own cancels it.
    write_archive(path, b"b", 20_000)

    def change(**_: Any) -> None:
        s3.put_object(**where, Body=path.read_bytes())

    with (
        event_hook(hook.conn, "before-parameter-build.s3.CopyObject", change),
        sent(hook.conn, "CopyObject") as copies,
    ):
        error = outcome(copy("s3://models/model.tar.gz")).error
    assert isinstance(error, ModelDataError)
    assert "the object in S3 differs" in str(error)
    assert copies[0]["CopySourceIfMatch"] == etag


@pytest.mark.parametrize("operation", ["HeadObject", "CopyObject"])
def test_a_run_that_dies_at_a_call_is_repeated(
    aws: LocalAws, dag: DAG, artifact: str, operation: str
) -> None:
    conn = ModelDataHook(region_name="eu-west-1").conn
    with answering(conn, operation, refusal("InternalError", status=500)):
        assert outcome(copy(artifact)).error is not None
    assert content(aws, run_task(copy(artifact)).value) == content(aws, artifact)


def test_what_is_not_there_and_what_is_no_archive_are_errors(aws: LocalAws, dag: DAG, artifact: str) -> None:
    absent = outcome(copy("s3://models/none.tar.gz")).error
    assert isinstance(absent, NotFoundError)
    assert "s3://models/none.tar.gz does not exist" in str(absent)
    aws.client("s3").put_object(Bucket="models", Key="bad.tar.gz", Body=b"no archive")
    assert isinstance(outcome(copy("s3://models/bad.tar.gz")).error, InvalidSpecError | ModelDataError)
    assert isinstance(outcome(copy(artifact, bucket_name="nowhere")).error, NotFoundError)
    elsewhere = outcome(copy(artifact, region_name="us-west-2")).error
    assert isinstance(elsewhere, InvalidSpecError)
    assert "is in Region eu-west-1, and the model in us-west-2" in str(elsewhere)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model_data": "s3://models/prefix/"}, "uncompressed model data are not copied"),
        ({"model_data": "https://models/m.tar.gz"}, "the s3:// URL of a .tar.gz file"),
        ({"kms_key_id": "alias/k", "server_side_encryption": "AES256"}, "with a kms_key_id"),
        ({"storage_class": "GLACIER"}, "read from at once"),
    ],
)
def test_a_parameter_that_can_never_work_is_an_error_at_parse(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        copy(**{"model_data": "s3://models/m.tar.gz", **options})


def test_a_rendered_url_is_checked_before_the_first_call(aws: LocalAws, dag: DAG) -> None:
    aws.clear_requests()
    for url in ("{{ 's3://models/prefix/' }}", "{{ 'https://models/m.tar.gz' }}"):
        assert isinstance(outcome(copy(url)).error, InvalidSpecError)
    assert operations(aws) == []
