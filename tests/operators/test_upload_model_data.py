"""UploadModelDataOperator: the same content is sent once, under the name of its content."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    CreateModelOperator,
    InstanceProductionVariant,
    ModelData,
    ModelHostingTaskGroup,
    UploadModelDataOperator,
    stat_cache,
)
from airflow_sm_hosting.artifacts import archive_check, packing
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError
from airflow_sm_hosting.hooks import ModelDataHook
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import answering, event_hook, operations, outcome, refusal, run_task, task_id
from tests.test_stat_cache import tick


@pytest.fixture(autouse=True)
def bucket(aws: LocalAws) -> str:
    aws.client("s3").create_bucket(Bucket="models")
    aws.clear_requests()
    return "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model"
    (path / "code").mkdir(parents=True)
    (path / "weights.bin").write_bytes(b"1")
    (path / "code" / "inference.py").write_text("pass")
    return path


def write_archive(path: Path, fill: bytes, size: int) -> None:
    """Write an archive in place, whose size does not depend on its content."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("m")
        info.size = size
        archive.addfile(info, io.BytesIO(fill * size))
    path.write_bytes(gzip.compress(stream.getvalue(), 0, mtime=0))


def upload(path: Any, **options: Any) -> UploadModelDataOperator:
    return UploadModelDataOperator(
        **{"task_id": task_id("upload"), "path": str(path), "bucket_name": "models", **options}
    )


def test_a_folder_is_packed_and_sent_once(aws: LocalAws, dag: DAG, folder: Path) -> None:
    first = run_task(upload(folder, key_prefix="churn/{{ 'a' }}"))
    assert re.fullmatch(r"s3://models/churn/a/[0-9a-f]{64}\.tar\.gz", first.value)
    assert first.details["uploaded"] is True
    key = first.value.removeprefix("s3://models/")
    body = aws.client("s3").get_object(Bucket="models", Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:gz") as tar:
        names = {os.path.normpath(member.name) for member in tar.getmembers() if member.isfile()}
    assert names == {"weights.bin", "code/inference.py"}

    os.utime(folder / "weights.bin", (1, 1))
    aws.clear_requests()
    second = run_task(upload(folder, key_prefix="churn/a"))
    assert (second.value, second.details["uploaded"]) == (first.value, False)
    assert operations(aws) == ["HeadObject"]


@pytest.mark.parametrize("prefix", ["{{ none }}", "{{ '' }}", "{{ params.get('prefix') }}", "", "/"])
def test_nothing_as_a_prefix_is_no_prefix(aws: LocalAws, dag: DAG, folder: Path, prefix: str) -> None:
    uri = run_task(upload(folder, key_prefix=prefix)).value
    assert re.fullmatch(r"s3://models/[0-9a-f]{64}\.tar\.gz", uri)


def test_other_content_has_another_place(aws: LocalAws, dag: DAG, folder: Path) -> None:
    first = run_task(upload(folder)).value
    (folder / "weights.bin").write_bytes(b"2")
    assert run_task(upload(folder)).value != first
    assert len(aws.client("s3").list_objects_v2(Bucket="models")["Contents"]) == 2


def test_an_archive_is_sent_as_it_is(aws: LocalAws, dag: DAG, folder: Path, tmp_path: Path) -> None:
    archive = tmp_path / "model.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, ".")
    uri = run_task(upload(archive)).value
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert uri == f"s3://models/{digest}.tar.gz"


def test_a_relative_path_is_beside_the_dag_file(aws: LocalAws, folder: Path) -> None:
    with DAG("relative", schedule=None) as dag:
        dag.fileloc = str(folder.parent / "dag.py")
        relative = upload("model")
    assert run_task(relative).value == run_task(upload(folder, dag=dag)).value


def test_what_does_not_exist_is_an_error(aws: LocalAws, dag: DAG, folder: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        run_task(upload(folder, bucket_name="nowhere"))
    aws.clear_requests()
    for path in ("/gone/away", "{{ none }}", __file__):
        assert isinstance(outcome(upload(path)).error, InvalidSpecError | ModelDataError), path
    assert operations(aws) == []


def test_a_bad_bucket_name_is_an_error_before_the_first_call(aws: LocalAws, dag: DAG, folder: Path) -> None:
    for name in ("{{ 'a b' }}", "{{ none }}"):
        assert isinstance(outcome(upload(folder, bucket_name=name)).error, InvalidSpecError)
    assert operations(aws) == []


@pytest.mark.parametrize("operation", ["HeadObject", "PutObject"])
def test_a_denied_upload_names_object_action_and_worker(
    aws: LocalAws, dag: DAG, folder: Path, operation: str
) -> None:
    with answering(ModelDataHook().conn, operation, refusal("AccessDenied", "Access Denied", 403)):
        told = str(outcome(upload(folder)).error)
    for words in (
        "s3://",
        ".tar.gz",
        "s3:GetObject",
        "s3:PutObject",
        "runs as the worker (",
        "of account 123456789012",
    ):
        assert words in told


def test_a_file_that_changes_while_it_is_sent_stores_nothing(aws: LocalAws, dag: DAG, tmp_path: Path) -> None:
    """S3 computes the checksum of what it took, and the next try sends what is there then. In parts: ``tests/crashes/test_uploads.py``."""
    path = tmp_path / "model.tar.gz"
    write_archive(path, b"a", 1_000_000)
    changed: list[bool] = []

    def change(**_: Any) -> None:
        if not changed:
            changed.append(True)
            write_archive(path, b"b", 1_000_000)

    with event_hook(ModelDataHook().conn, "before-parameter-build.s3.PutObject", change):
        failed = outcome(upload(path))
    assert changed
    assert type(failed.error) is ModelDataError
    assert "written anew while it was uploaded" in str(failed.error)
    assert not aws.client("s3").list_objects_v2(Bucket="models").get("Contents")
    assert outcome(upload(path)).error is None
    [found] = aws.client("s3").list_objects_v2(Bucket="models")["Contents"]
    stored = aws.client("s3").get_object(Bucket="models", Key=found["Key"])["Body"].read()
    assert hashlib.sha256(stored).hexdigest() in found["Key"]


def test_a_bucket_of_another_region_is_refused_before_anything_is_sent(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    place = {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}
    aws.client("s3").create_bucket(Bucket="there", **place)
    for _ in range(2):
        end = outcome(upload(folder, bucket_name="there"))
        assert type(end.error) is InvalidSpecError
        assert "is in Region eu-west-1, and the model in us-east-1" in str(end.error)
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket="there")


def test_an_artifact_is_stored_as_the_parameters_say(aws: LocalAws, dag: DAG, folder: Path) -> None:
    given = {
        "server_side_encryption": "{{ 'aws:kms' }}",
        "storage_class": "{{ 'STANDARD_IA' }}",
        "tags": {"team": "{{ 'churn' }}"},
        "bucket_owner": "123456789012",
    }
    uri = run_task(upload(folder, **given)).value
    where = {"Bucket": "models", "Key": uri.removeprefix("s3://models/")}
    head = aws.client("s3").head_object(**where)
    assert (head["ServerSideEncryption"], head["StorageClass"]) == ("aws:kms", "STANDARD_IA")
    assert aws.client("s3").get_object_tagging(**where)["TagSet"] == [{"Key": "team", "Value": "churn"}]
    aws.clear_requests()
    assert run_task(upload(folder, **given)).details["uploaded"] is False
    assert operations(aws) == ["HeadObject", "GetObjectTagging"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"server_side_encryption": "KMS"}, "aws:kms:dsse"),
        ({"server_side_encryption": "AES256", "kms_key_id": "alias/models"}, "with a kms_key_id"),
        ({"bucket_owner": "1234"}, "12 digits"),
        ({"storage_class": "GLACIER"}, "read from at once"),
        ({"storage_class": "standard"}, "STANDARD_IA"),
        ({"tags": {str(number): "" for number in range(11)}}, "10 at most"),
    ],
)
def test_a_parameter_that_can_never_work_is_an_error_at_parse(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        UploadModelDataOperator(task_id="upload", path="model", bucket_name="models", **options)


@pytest.mark.parametrize("scheme", ["s3", "file"])
def test_the_url_of_an_archive_is_a_path(aws: LocalAws, dag: DAG, tmp_path: Path, scheme: str) -> None:
    write_archive(tmp_path / "model.tar.gz", b"a", 1000)
    body = (tmp_path / "model.tar.gz").read_bytes()
    aws.client("s3").put_object(Bucket="models", Key="training/model.tar.gz", Body=body)
    url = "s3://models/training/model.tar.gz" if scheme == "s3" else f"file://{tmp_path}/model.tar.gz"
    for _ in range(2):
        found = run_task(upload("{{ '" + url + "' }}", key_prefix="churn"))
        assert found.value == f"s3://models/churn/{hashlib.sha256(body).hexdigest()}.tar.gz"
    stored = aws.client("s3").get_object(Bucket="models", Key=found.value.removeprefix("s3://models/"))
    assert stored["Body"].read() == body


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://models/prefix/", "from_prefix"),
        ("s3://aws_default@models/model.tar.gz", "without a connection"),
        ("://model.tar.gz", "the URL of a .tar.gz file"),
    ],
)
def test_a_url_that_names_no_archive_is_an_error_at_parse(url: str, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        UploadModelDataOperator(task_id="upload", path=url, bucket_name="models")


def test_a_folder_is_uploaded_uncompressed_once(aws: LocalAws, dag: DAG, folder: Path) -> None:
    first = run_task(upload(folder, key_prefix="churn", uncompressed="{{ 'True' }}"))
    assert re.fullmatch(r"s3://models/churn/[0-9a-f]{64}/", first.value)
    assert (first.details["uploaded"], first.details["files"]) == (True, 2)
    aws.clear_requests()
    second = run_task(upload(folder, key_prefix="churn", uncompressed=True))
    assert (second.value, second.details["uploaded"]) == (first.value, False)
    assert operations(aws) == ["GetObject", "ListObjectsV2"]


def test_only_a_folder_is_uploaded_uncompressed() -> None:
    with pytest.raises(InvalidSpecError, match="a folder in the worker's file system"):
        UploadModelDataOperator(
            task_id="upload", path="s3://models/m.tar.gz", bucket_name="models", uncompressed=True
        )


def test_a_task_group_uploads_and_deploys_a_folder_uncompressed(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    data = ModelData.from_asset(str(folder), uncompressed=True)
    image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:" + "a" * 64
    ModelHostingTaskGroup(
        endpoint_name="churn",
        bucket_name="models",
        execution_role="arn:aws:iam::123456789012:role/sagemaker",
        models={"churn": [ContainerDefinition(image=image, model_data=data)]},
        production_variants=[
            InstanceProductionVariant(model_name="churn", variant_name="main", instance_type="ml.m5.large")
        ],
    )
    [task] = [task for task in dag.tasks if isinstance(task, UploadModelDataOperator)]
    uri = run_task(task).value
    model = CreateModelOperator(
        task_id=task_id("model"),
        model_name="churn",
        execution_role="arn:aws:iam::123456789012:role/sagemaker",
        containers=[ContainerDefinition(image=image, model_data=uri)],
    )
    described = aws.client("sagemaker").describe_model(ModelName=run_task(model).value)
    source = described["PrimaryContainer"]["ModelDataSource"]["S3DataSource"]
    assert source == {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}


# Unchanged files are not read again


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read or packed, in order; files count as settled as soon as they are written."""
    monkeypatch.setattr(stat_cache, "RECENT", -(10**18))
    seen: list[str] = []
    check, packs = archive_check.check_archive, packing._pack_directory

    def checked(file: Any, *arguments: Any) -> Any:
        seen.append("archive")
        return check(file, *arguments)

    def packed(root: Path, *arguments: Any) -> Any:
        seen.append("folder")
        return packs(root, *arguments)

    monkeypatch.setattr(packing, "check_archive", checked)
    monkeypatch.setattr(packing, "_pack_directory", packed)
    return seen


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_what_has_not_changed_is_neither_read_nor_packed_and_costs_one_call(
    aws: LocalAws, dag: DAG, folder: Path, tmp_path: Path, reads: list[str], kind: str
) -> None:
    path = folder
    if kind == "archive":
        path = tmp_path / "model.tar.gz"
        write_archive(path, b"1", 1000)
    first = run_task(upload(path))
    aws.clear_requests()
    again = run_task(upload(path))
    assert (again.value, again.details) == (first.value, {**first.details, "uploaded": False})
    assert operations(aws) == ["HeadObject"]
    assert reads == [kind]


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_a_rewrite_with_the_same_size_and_a_restored_time_is_other_content(
    aws: LocalAws, dag: DAG, folder: Path, tmp_path: Path, reads: list[str], kind: str
) -> None:
    path = folder
    if kind == "archive":
        path = tmp_path / "model.tar.gz"
        write_archive(path, b"1", 1000)
    first = run_task(upload(path))
    tick(folder)
    file = path if kind == "archive" else folder / "weights.bin"
    before = file.stat()
    if kind == "archive":
        write_archive(path, b"2", 1000)
    else:
        file.write_bytes(b"2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    second = run_task(upload(path))
    assert second.value != first.value
    assert second.details["uploaded"] is True
    assert reads == [kind, kind]


def test_a_known_folder_is_packed_when_its_archive_is_gone(
    aws: LocalAws, dag: DAG, folder: Path, reads: list[str]
) -> None:
    first = run_task(upload(folder))
    bucket, _, key = first.value.removeprefix("s3://").partition("/")
    aws.client("s3").delete_object(Bucket=bucket, Key=key)
    again = run_task(upload(folder))
    assert (again.value, again.details["uploaded"]) == (first.value, True)
    assert reads == ["folder", "folder"]


def test_a_known_folder_that_changes_while_it_is_uploaded_is_an_error(
    aws: LocalAws, dag: DAG, folder: Path, reads: list[str]
) -> None:
    first = run_task(upload(folder))
    bucket, _, key = first.value.removeprefix("s3://").partition("/")
    aws.client("s3").delete_object(Bucket=bucket, Key=key)
    hook = ModelDataHook().conn
    with event_hook(
        hook, "before-call.*.HeadObject", lambda **_: (folder / "weights.bin").write_bytes(b"2") and None
    ):
        error = outcome(upload(folder)).error
    assert isinstance(error, ModelDataError)
    assert "changes while it is uploaded" in str(error)
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=bucket)


def test_the_cache_can_be_switched_off(
    aws: LocalAws, dag: DAG, folder: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__STAT_CACHE", "False")
    for _ in range(2):
        run_task(upload(folder))
    assert reads == ["folder", "folder"]
