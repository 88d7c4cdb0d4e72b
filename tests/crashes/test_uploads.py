"""An upload that is killed at any of its calls, or whose file changes at any moment: no key ever names bytes that it has not."""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import UploadModelDataOperator
from airflow_sm_hosting.artifacts import checksums, transfer
from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.artifacts.transfer import FileBody
from airflow_sm_hosting.artifacts.upload import UploadResult, content_key, upload_if_absent
from airflow_sm_hosting.exceptions import ModelDataError
from airflow_sm_hosting.local import LocalAws
from tests.local_servers import local_server
from tests.operators.conftest import _emptied, dag, operations, outcome, task_id
from tests.operators.test_upload_model_data import write_archive

__all__ = ["dag"]

PART = 5 * 1024 * 1024
STEP = 64 * 1024
KILLED = """
import logging, os, signal, sys
import boto3
from airflow_sm_hosting.artifacts import checksums, transfer, upload
from airflow_sm_hosting.artifacts.packing import pack
endpoint, path, number, when = sys.argv[1:]
transfer.THRESHOLD = checksums.PART_SIZE = {part}
transfer.THREADS = 1
client, calls = boto3.client("s3", endpoint_url=endpoint), []
def call(**_):
    calls.append(1)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
client.meta.events.register(f"{{when}}-call.s3", call)
artifact = pack(path, workdir=".")
key = upload.content_key("", "", artifact.sha256)
upload.upload_if_absent(client, artifact, bucket="models", key=key, log=logging.getLogger())
print(len(calls))
"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    found = _emptied(local_server(), monkeypatch)
    found.client("s3").create_bucket(Bucket="models")
    monkeypatch.setattr(transfer, "THRESHOLD", PART)
    monkeypatch.setattr(checksums, "PART_SIZE", PART)
    monkeypatch.setattr(transfer, "THREADS", 1)
    monkeypatch.setattr(transfer, "IDLE", timedelta())  # what cannot be resumed is a killed task's
    return found


def stored(aws: LocalAws) -> dict[str, bytes]:
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket="models").get("Contents", [])
    return {one["Key"]: s3.get_object(Bucket="models", Key=one["Key"])["Body"].read() for one in found}


def check(objects: dict[str, bytes]) -> None:
    for key, body in objects.items():
        assert hashlib.sha256(body).hexdigest() in key


def uploading(path: Path) -> Any:
    return outcome(UploadModelDataOperator(task_id=task_id("upload"), path=str(path), bucket_name="models"))


def parts_there(aws: LocalAws) -> int:
    """Return how many parts there are in S3: of the object, or of an unfinished upload."""
    s3 = aws.client("s3")
    if "Contents" in s3.list_objects_v2(Bucket="models"):
        return 3
    uploads = s3.list_multipart_uploads(Bucket="models").get("Uploads", [])
    found = [s3.list_parts(Bucket="models", Key=one["Key"], UploadId=one["UploadId"]) for one in uploads]
    return max((len(one.get("Parts", [])) for one in found), default=0)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", [1000, 2 * PART + 1000], ids=["one call", "three parts"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_the_next_try_completes_what_was_killed_at_any_call(
    aws: LocalAws, dag: DAG, tmp_path: Path, size: int, when: str
) -> None:
    path = tmp_path / "model.tar.gz"
    write_archive(path, b"a", size)
    environment = {**os.environ, **aws.environment()}
    script = KILLED.format(part=PART)
    kills, parts = 0, 0 if size < PART else 3
    for number in range(1, 30):
        for key in stored(aws):
            aws.client("s3").delete_object(Bucket="models", Key=key)
        arguments = [aws.endpoint_url, str(path), str(number), when]
        ended = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        check(stored(aws))
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        kills += 1
        there = parts_there(aws)
        aws.clear_requests()
        assert uploading(path).error is None
        assert operations(aws).count("UploadPart") == max(0, parts - there)
        objects = stored(aws)
        check(objects)
        assert list(objects.values()) == [path.read_bytes()]
        left = aws.client("s3").list_multipart_uploads(Bucket="models").get("Uploads", [])
        assert not left or size < PART or number == 1, "unfinished uploads stay"
    assert kills >= (3 if size < PART else 8)


@pytest.mark.timeout(900)
def test_a_file_that_changes_at_any_boundary_is_never_under_the_key_of_other_bytes(
    aws: LocalAws, dag: DAG, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that is rewritten behind the reader: then what was read is what it was."""
    path, size = tmp_path / "model.tar.gz", PART + 300_000
    read, total, changed_at = FileBody._next, 0, 0

    def reading(self: FileBody) -> memoryview:
        nonlocal total
        data = read(self)
        if total < changed_at <= total + len(data):
            # In place, as a program that trains on.
            with path.open("r+b") as file:
                file.seek(changed_at)
                file.write(b"b" * (path.stat().st_size - changed_at))
        total += len(data)
        return data

    monkeypatch.setattr(transfer, "_BLOCK", STEP)
    monkeypatch.setattr(FileBody, "_next", reading)
    ends = {True: 0, False: 0}
    write_archive(path, b"a", size)
    length = path.stat().st_size
    for changed_at in range(STEP, length, STEP):  # noqa: B007  # read by the function above
        for key in stored(aws):
            aws.client("s3").delete_object(Bucket="models", Key=key)
        write_archive(path, b"a", size)
        total = 0
        end = uploading(path)
        assert end.error is None or type(end.error) is ModelDataError, end.error
        objects = stored(aws)
        check(objects)
        assert bool(objects) is (end.error is None)
        ends[end.error is None] += 1
    assert ends[False] > 0
    print(
        f"changed at {sum(ends.values())} boundaries: {ends[False]} refused, {ends[True]} sent as they were"
    )


@pytest.mark.parametrize("sent", range(4))
def test_two_runs_that_send_the_same_archive_at_once_both_complete(
    aws: LocalAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    """The second one begins when the first has sent some parts, and takes up its upload."""
    monkeypatch.setattr(transfer, "IDLE", timedelta(minutes=10))
    path = tmp_path / "model.tar.gz"
    write_archive(path, b"a", 4 * PART + 1000)
    artifact = pack(path, workdir=tmp_path)
    key = content_key("", "", artifact.sha256)
    begin, number = threading.Event(), 0

    def run(first: bool) -> UploadResult:
        client = aws.client("s3")
        if first:
            client.meta.events.register("after-call.s3.UploadPart", one_is_sent)
            client.meta.events.register("before-call.s3.UploadPart", none_is_sent)
        else:
            assert begin.wait(60)
        return upload_if_absent(client, artifact, bucket="models", key=key, log=logging.getLogger(__name__))

    def none_is_sent(**_: Any) -> None:
        if sent == 0:
            begin.set()

    def one_is_sent(**_: Any) -> None:
        nonlocal number
        number += 1
        if number == sent:
            begin.set()

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(run, [True, False]))
    assert {result.uri for result in results} == {f"s3://models/{key}"}
    assert stored(aws) == {key: path.read_bytes()}
    left = aws.client("s3").list_multipart_uploads(Bucket="models").get("Uploads", [])
    assert not left
