"""Parts of a file: which there are, which are sent again, and what becomes of an upload that two runs share."""

from __future__ import annotations

import logging
import os
import random
import threading
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given, strategies as st
from moto import mock_aws
from moto.s3 import models as moto_models

from airflow_sm_hosting.artifacts import checksums, transfer
from airflow_sm_hosting.artifacts.checksums import Checksums, RunningChecksums, base64_of
from airflow_sm_hosting.artifacts.packing import PackedArtifact
from airflow_sm_hosting.artifacts.transfer import FileBody, FileToSend, UploadTarget, sections, send
from airflow_sm_hosting.artifacts.upload import Storage, upload_if_absent
from airflow_sm_hosting.exceptions import ModelDataError
from airflow_sm_hosting.hooks.credentials import RenewableCredentials, renew_when_refused
from airflow_sm_hosting.stat_cache import state_of

log = logging.getLogger(__name__)
SHA = "ab" * 32
PART = 1000
WHERE = {"Bucket": "models", "Key": "k.tar.gz"}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "THRESHOLD", 1)
    monkeypatch.setattr(transfer, "_BLOCK", 300)
    monkeypatch.setattr(checksums, "PART_SIZE", PART)
    monkeypatch.setattr(moto_models, "S3_UPLOAD_PART_MIN_SIZE", 1)


@pytest.fixture(scope="module")
def other_run() -> Iterator[Any]:
    """The client of another run."""
    before = {name: os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            patch.delenv(name, raising=False)
        client = boto3.client("s3", region_name="us-east-1")
        client.create_bucket(Bucket="models")
        yield client
    # moto leaves its own credentials where one mock was in another.
    os.environ.update({name: value for name, value in before.items() if value is not None})


@pytest.fixture
def s3(other_run: Any) -> Any:
    empty(other_run)
    return boto3.client("s3", region_name="us-east-1")


def empty(s3: Any) -> None:
    for upload in unfinished(s3):
        s3.abort_multipart_upload(**WHERE, UploadId=upload)
    s3.delete_object(**WHERE)


@dataclass
class Traffic:
    """What a client has sent."""

    calls: list[str] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    signed: set[str] = field(default_factory=set)


@pytest.fixture
def traffic(s3: Any) -> Traffic:
    found = Traffic()
    lock = threading.Lock()

    def sent(request: Any, **_: Any) -> None:
        with lock:
            found.sizes.append(int(request.headers["Content-Length"]))
            found.signed.add(str(request.headers["X-Amz-Content-SHA256"], "ascii"))

    def called(model: Any, params: dict[str, Any], **_: Any) -> None:
        with lock:
            found.calls.append(model.name)
            if model.name == "UploadPart":
                found.parts.append(params["query_string"]["partNumber"])

    s3.meta.events.register("before-call.s3", called)
    s3.meta.events.register_first("before-send.s3.UploadPart", sent)
    return found


def artifact_of(path: Path, data: bytes) -> PackedArtifact:
    path.write_bytes(data)
    running = RunningChecksums()
    running.update(data)
    return PackedArtifact(
        path, SHA, running.checksums, len(data), temporary=False, state=state_of(path.stat())
    )


def uploaded(s3: Any, artifact: PackedArtifact, **options: Any) -> bytes:
    upload_if_absent(s3, artifact, bucket="models", key="k.tar.gz", log=log, **options)
    with closing(s3.get_object(**WHERE)["Body"]) as body:
        return bytes(body.read())


def begin(s3: Any, there: dict[int, bytes], **members: Any) -> str:
    """Begin an upload as a task does that is killed after some parts."""
    kind = {
        "ChecksumAlgorithm": "CRC32",
        "ChecksumType": "FULL_OBJECT",
        "Metadata": {"sha256": SHA},
        **members,
    }
    upload = s3.create_multipart_upload(**WHERE, **kind)["UploadId"]
    for number, body in there.items():
        s3.upload_part(**WHERE, UploadId=upload, PartNumber=number, Body=body)
    return str(upload)


def unfinished(s3: Any) -> list[str]:
    return [one["UploadId"] for one in s3.list_multipart_uploads(Bucket="models").get("Uploads", [])]


@given(size=st.integers(1, 2**43), piece=st.sampled_from([5 * 2**20, 32 * 2**20]))
def test_the_parts_are_the_file_in_order_and_as_s3_allows(size: int, piece: int) -> None:
    found = sections(size, Checksums(0, piece))
    assert len(found) <= 10_000
    assert [one.number for one in found] == list(range(1, len(found) + 1))
    ends = [0, *(one.start + one.size for one in found)]
    assert ends == [*(one.start for one in found), size]
    assert all(one.size == found[0].size and one.size >= 5 * 2**20 for one in found[:-1])


@given(blocks=st.lists(st.binary(max_size=3000), max_size=6), piece=st.integers(1, 2500))
def test_running_checksums_are_those_of_the_bytes(blocks: list[bytes], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checksums, "PART_SIZE", piece)
        running = RunningChecksums()
    for block in blocks:
        running.update(block)
    data, found = b"".join(blocks), running.checksums
    assert found.crc32 == zlib.crc32(data)
    assert list(found.pieces) == [zlib.crc32(data[at : at + piece]) for at in range(0, len(data) or 1, piece)]


@given(data=st.binary(min_size=1, max_size=2000), start=st.integers(0, 1999), step=st.integers(1, 700))
def test_a_body_is_its_section_also_after_it_is_rewound(
    data: bytes, start: int, step: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    start = min(start, len(data) - 1)
    path = tmp_path_factory.mktemp("body") / "file"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch, path.open("rb") as file:
        patch.setattr(transfer, "_BLOCK", step)
        body = FileBody(file.fileno(), start, len(data) - start, threading.Event())
        for _ in range(2):
            assert b"".join(bytes(block) for block in iter(lambda: body.read(16), b"")) == data[start:]
            body.seek(0)
        assert body.read() == data[start:]
        assert body.crc32() == zlib.crc32(data[start:])
        assert len(body) == len(data) - start


@pytest.fixture(scope="module")
def sent() -> list[int]:
    """The bytes of each part that ``counted`` has sent."""
    return []


@pytest.fixture(scope="module")
def counted(other_run: Any, sent: list[int]) -> Any:
    client = boto3.client("s3", region_name="us-east-1")
    client.meta.events.register_first(
        "before-send.s3.UploadPart", lambda request, **_: sent.append(int(request.headers["Content-Length"]))
    )
    return client


@pytest.mark.parametrize("known", [True, False], ids=["checksums of parts known", "not known"])
@given(data=st.data())
def test_only_parts_that_are_not_there_are_sent(
    other_run: Any,
    counted: Any,
    sent: list[int],
    known: bool,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """For any size, any set of parts there, and parts among them of other bytes or another size."""
    size = data.draw(st.integers(1, 5 * PART))
    body = random.Random(size).randbytes(size)
    parts = {n: body[at : at + PART] for n, at in enumerate(range(0, size, PART), start=1)}
    there = data.draw(st.sets(st.sampled_from(sorted(parts))))
    other = data.draw(st.sets(st.sampled_from(sorted(parts))))
    empty(other_run)
    begin(other_run, {n: parts[n] if n not in other else parts[n][::-1] + b"!" for n in there})
    sent.clear()
    file = tmp_path_factory.mktemp("parts") / "m.tar.gz"
    artifact = artifact_of(file, body)
    found = artifact.checksums if known else Checksums(artifact.checksums.crc32)
    with file.open("rb") as opened:
        to_send = FileToSend(opened.fileno(), size, found)
        resumed = send(UploadTarget(counted, WHERE, log), to_send, {"Metadata": {"sha256": SHA}})
    assert other_run.get_object(**WHERE)["Body"].read() == body
    # An upload whose first part has other bytes is that of another archive under this key.
    kept = there - other if there and min(there) not in other else set()
    assert resumed is bool(kept)
    assert sum(sent) == sum(len(part) for n, part in parts.items() if n not in kept)


def test_parts_are_kept_by_the_checksum_that_s3_lists(
    s3: Any, other_run: Any, traffic: Traffic, tmp_path: Path
) -> None:
    """An ETag is no MD5 with KMS."""
    data = random.randbytes(3 * PART)
    begin(other_run, {1: data[:PART], 2: bytes(PART)})

    def list_checksums(parsed: dict[str, Any], **_: Any) -> None:
        for part in parsed.get("Parts", []):
            part["ETag"] = '"of KMS"'
            content = data[:PART] if part["PartNumber"] == 1 else bytes(PART)
            part["ChecksumCRC32"] = base64_of(zlib.crc32(content))

    s3.meta.events.register("after-call.s3.ListParts", list_checksums)
    s3.meta.events.register(
        "provide-client-params.s3.CompleteMultipartUpload",
        lambda params, **_: params["MultipartUpload"]["Parts"][0].update(ETag=_etag(other_run, 1)),
    )
    assert uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert sorted(traffic.parts) == [2, 3]
    assert unfinished(s3) == []


def _etag(other_run: Any, number: int) -> str:
    [upload] = unfinished(other_run)
    listed = other_run.list_parts(**WHERE, UploadId=upload)["Parts"]
    return str(next(one["ETag"] for one in listed if one["PartNumber"] == number))


def test_the_payload_is_read_once_and_not_hashed_to_sign_it(
    s3: Any, traffic: Traffic, tmp_path: Path
) -> None:
    data, read, real = random.randbytes(4 * PART), list[int](), FileBody._next

    def reading(self: FileBody) -> memoryview:
        block = real(self)
        read.append(len(block))
        return block

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FileBody, "_next", reading)
        assert uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert traffic.signed == {"UNSIGNED-PAYLOAD"}
    assert sum(read) == len(data)


@pytest.mark.parametrize("status", [503, 500])
def test_a_part_that_s3_throttles_or_fails_is_sent_again(
    s3: Any, traffic: Traffic, tmp_path: Path, status: int
) -> None:
    refused: list[int] = []

    def refuse(request: Any, **_: Any) -> AWSResponse | None:
        if refused:
            return None
        refused.append(status)
        body = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
        return AWSResponse(request.url, status, {}, _Raw(body))

    s3.meta.events.register_first("before-send.s3.UploadPart", refuse)
    data = random.randbytes(4 * PART)
    assert uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert traffic.calls.count("UploadPart") == 4
    assert refused == [status]


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def refusing(client: Any, operation: str, code: str, status: int, times: int = 1) -> list[str]:
    """Have S3 refuse an operation some times; return what it has refused."""
    refused: list[str] = []

    def refuse(**_: Any) -> None:
        if len(refused) < times:
            refused.append(code)
            answer = {
                "Error": {"Code": code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            }
            raise ClientError(answer, operation)

    client.meta.events.register(f"before-call.s3.{operation}", refuse)
    return refused


def test_what_fails_for_another_reason_than_the_file_is_resumed(
    s3: Any, traffic: Traffic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THREADS", 1)
    data = random.randbytes(4 * PART)
    artifact = artifact_of(tmp_path / "m.tar.gz", data)
    refusing(s3, "CompleteMultipartUpload", "InternalError", 500)
    with pytest.raises(ModelDataError, match="InternalError"):
        uploaded(s3, artifact)
    assert len(unfinished(s3)) == 1
    traffic.parts.clear()
    assert uploaded(s3, artifact) == data
    assert traffic.parts == []
    assert unfinished(s3) == []


@pytest.mark.parametrize("known", [True, False], ids=["part refused", "whole refused"])
def test_a_changed_file_is_not_stored_and_its_upload_aborted(s3: Any, tmp_path: Path, known: bool) -> None:
    """moto believes checksums, so this says what S3 does: refuse the part, or the object (tests/crashes has the local AWS do it)."""
    data = random.randbytes(3 * PART)
    artifact = artifact_of(tmp_path / "m.tar.gz", data)
    refusing(s3, "UploadPart" if known else "CompleteMultipartUpload", "BadDigest", 400)
    with pytest.raises(ModelDataError, match="written anew while it was uploaded"):
        uploaded(s3, artifact)
    assert unfinished(s3) == []


def test_a_file_that_becomes_shorter_while_it_is_sent_is_an_error(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THREADS", 1)
    path = tmp_path / "m.tar.gz"
    artifact = artifact_of(path, random.randbytes(3 * PART))
    s3.meta.events.register("before-send.s3.UploadPart", lambda **_: os.truncate(path, 100))
    with pytest.raises(ModelDataError, match="written anew while it was uploaded"):
        uploaded(s3, artifact)
    assert unfinished(s3) == []
    assert "Contents" not in s3.list_objects_v2(Bucket="models")


def test_a_run_that_another_one_overtakes_finds_the_object(
    s3: Any, other_run: Any, traffic: Traffic, tmp_path: Path
) -> None:
    """The other one completes the shared upload before this one has sent its part."""
    data = random.randbytes(3 * PART)
    artifact = artifact_of(tmp_path / "m.tar.gz", data)
    done: list[bool] = []
    begin(other_run, {1: data[:PART]})

    def complete(**_: Any) -> None:
        if not done:
            done.append(True)
            with artifact.path.open("rb") as file:
                to_send = FileToSend(file.fileno(), artifact.size, artifact.checksums)
                send(UploadTarget(other_run, WHERE, log), to_send, {})
        # What S3 answers then (API_UploadPart); moto has a KeyError.
        answer = {"Error": {"Code": "NoSuchUpload"}, "ResponseMetadata": {"HTTPStatusCode": 404}}
        raise ClientError(answer, "UploadPart")

    s3.meta.events.register("before-call.s3.UploadPart", complete)
    assert uploaded(s3, artifact) == data
    assert done
    assert traffic.calls.count("CreateMultipartUpload") == 0
    assert unfinished(s3) == []


def test_a_part_that_another_run_sent_anew_is_completed_with_its_new_etag(
    s3: Any, traffic: Traffic, tmp_path: Path
) -> None:
    data = random.randbytes(3 * PART)
    refused = refusing(s3, "CompleteMultipartUpload", "InvalidPart", 400)
    assert uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert refused
    assert sorted(traffic.parts) == [1, 2, 3]
    assert traffic.calls.count("CreateMultipartUpload") == 1


def test_a_run_that_is_overtaken_again_and_again_says_so(s3: Any, tmp_path: Path) -> None:
    refusing(s3, "CompleteMultipartUpload", "NoSuchUpload", 404, times=99)
    with pytest.raises(ModelDataError, match="does something abort the uploads"):
        uploaded(s3, artifact_of(tmp_path / "m.tar.gz", random.randbytes(PART)))


@pytest.mark.parametrize("idle", [True, False])
def test_an_upload_of_other_bytes_is_not_taken_up(
    s3: Any, other_run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: bool
) -> None:
    """A folder that another version compresses has the same key and other bytes: that run must be able to complete."""
    monkeypatch.setattr(transfer, "IDLE", timedelta() if idle else timedelta(minutes=10))
    data, theirs = random.randbytes(3 * PART), random.randbytes(3 * PART)
    other = begin(other_run, {1: theirs[:PART]})
    assert uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert unfinished(s3) == ([] if idle else [other])


def test_an_upload_that_was_begun_with_another_key_is_not_kept(
    s3: Any, other_run: Any, tmp_path: Path
) -> None:
    data = random.randbytes(3 * PART)
    begin(other_run, {1: data[:PART]}, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/other")
    assert (
        uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data), storage=Storage(kms_key_id="alias/models"))
        == data
    )
    assert s3.head_object(**WHERE)["SSEKMSKeyId"] == "alias/models"
    assert unfinished(s3) == []


def test_an_error_in_one_part_ends_the_others(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THREADS", 2)
    refusing(s3, "UploadPart", "AccessDenied", 403)
    made: list[str] = []
    s3.meta.events.register("before-send.s3.UploadPart", lambda **_: made.append("sent"))
    with pytest.raises(ModelDataError, match="S3 denied UploadPart"):
        uploaded(s3, artifact_of(tmp_path / "m.tar.gz", random.randbytes(100 * PART)))
    assert len(made) < 100


def test_uploads_that_may_not_be_listed_are_left(
    s3: Any, other_run: Any, traffic: Traffic, tmp_path: Path
) -> None:
    data = random.randbytes(2 * PART)
    begin(other_run, {1: data[:PART]})
    refusing(s3, "ListMultipartUploads", "AccessDenied", 403)
    assert uploaded(s3, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert sorted(traffic.parts) == [1, 2]


def test_a_part_that_expired_credentials_have_signed_is_sent_again_with_new_ones(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "THREADS", 1)
    session = boto3.session.Session(region_name="us-east-1")
    credentials = RenewableCredentials(lambda: Credentials("new", "secret"), Credentials("old", "secret"))
    session._session._credentials = credentials  # type: ignore[attr-defined]  # as SharedClients does
    client = session.client("s3")
    renew_when_refused(client, credentials)
    signed: list[str] = []

    def refuse_old(request: Any, **_: Any) -> AWSResponse | None:
        signed.append("old" if b"Credential=old/" in request.headers["Authorization"] else "new")
        if signed[-1] == "new":
            return None
        body = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
        return AWSResponse(request.url, 400, {}, _Raw(body))

    client.meta.events.register_first("before-send.s3.UploadPart", refuse_old)
    data = random.randbytes(3 * PART)
    assert uploaded(client, artifact_of(tmp_path / "m.tar.gz", data)) == data
    assert signed == ["old", "new", "new", "new"]
