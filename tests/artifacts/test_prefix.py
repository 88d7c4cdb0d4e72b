"""Uncompressed model data: below the prefix are the files of the folder and nothing else, and the manifest proves it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, strategies as st

from airflow_sm_hosting.artifacts import transfer
from airflow_sm_hosting.artifacts.prefix import PrefixResult, hash_folder, upload_files_if_absent
from airflow_sm_hosting.artifacts.upload import Storage
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError, NotFoundError

log = logging.getLogger(__name__)
FILES = {"config.json": b"{}", "code/inference.py": b"pass", "empty": b"", "weights.bin": bytes(100_000)}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model", FILES)


def upload(s3: Any, folder: Path, storage: Storage | None = None, prefix: str = "") -> PrefixResult:
    hashed = hash_folder(folder, log)
    return upload_files_if_absent(
        s3,
        hashed,
        bucket="models",
        prefix=prefix or f"churn/{hashed.sha256}",
        storage=storage or Storage(),
        log=log,
    )


def below(s3: Any, uri: str) -> dict[str, bytes]:
    prefix = uri.removeprefix("s3://models/")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="models", Prefix=prefix)["Contents"]]
    return {key.removeprefix(prefix): s3.get_object(Bucket="models", Key=key)["Body"].read() for key in keys}


def test_the_files_are_below_the_prefix_and_the_manifest_beside_it(s3: Any, folder: Path) -> None:
    result = upload(s3, folder)
    assert result.uploaded
    assert result.uri.startswith("s3://models/churn/")
    assert result.uri.endswith("/")
    assert below(s3, result.uri) == FILES
    key = result.uri.removeprefix("s3://models/").rstrip("/") + ".manifest.json"
    manifest = json.loads(s3.get_object(Bucket="models", Key=key)["Body"].read())
    assert [one["path"] for one in manifest["files"]] == sorted(FILES)


def test_an_unchanged_rerun_is_two_calls(s3: Any, folder: Path, calls: list[str]) -> None:
    upload(s3, folder)
    calls.clear()
    os.utime(folder / "weights.bin", (1, 1))
    assert not upload(s3, folder).uploaded
    assert calls == ["GetObject", "ListObjectsV2"]


@pytest.mark.parametrize("number", range(1, len(FILES) + 1))
def test_an_interrupted_upload_sends_what_is_missing(
    s3: Any, folder: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Interrupted at each of the files, or at the manifest."""
    monkeypatch.setattr("airflow_sm_hosting.artifacts.prefix.THREADS", 1)
    puts: list[str] = []

    def interrupt(**_: Any) -> None:
        puts.append("")
        if len(puts) == number + 1:
            answer = {"Error": {"Code": "InternalError"}, "ResponseMetadata": {"HTTPStatusCode": 500}}
            raise ClientError(answer, "PutObject")

    s3.meta.events.register("before-call.s3.PutObject", interrupt)
    with pytest.raises(ModelDataError):
        upload(s3, folder)
    there = len(s3.list_objects_v2(Bucket="models")["Contents"])
    assert number <= there <= len(FILES)
    calls.clear()
    result = upload(s3, folder)
    assert below(s3, result.uri) == FILES
    assert calls.count("PutObject") == len(FILES) - there + 1  # and the manifest
    assert not upload(s3, folder).uploaded


@pytest.mark.parametrize("what", ["deleted", "overwritten", "manifest lost", "manifest damaged"])
def test_what_changes_in_s3_is_mended(s3: Any, folder: Path, what: str) -> None:
    result = upload(s3, folder)
    prefix = result.uri.removeprefix("s3://models/")
    match what:
        case "deleted":
            s3.delete_object(Bucket="models", Key=f"{prefix}config.json")
        case "overwritten":  # with as many bytes
            s3.put_object(Bucket="models", Key=f"{prefix}config.json", Body=b"[]")
        case "manifest lost":
            s3.delete_object(Bucket="models", Key=f"{prefix.rstrip('/')}.manifest.json")
        case "manifest damaged":
            s3.put_object(Bucket="models", Key=f"{prefix.rstrip('/')}.manifest.json", Body=b"[")
    assert upload(s3, folder).uploaded
    assert below(s3, result.uri) == FILES
    assert not upload(s3, folder).uploaded


def test_objects_of_others_below_the_prefix_are_an_error(s3: Any, folder: Path) -> None:
    s3.put_object(Bucket="models", Key="mine/other.bin", Body=b"1")
    with pytest.raises(ModelDataError, match=r"not of this model, such as 'other\.bin'"):
        upload(s3, folder, prefix="mine")


def test_another_encryption_is_uploaded_again(s3: Any, folder: Path) -> None:
    result = upload(s3, folder)
    assert upload(s3, folder, Storage("aws:kms", "alias/models")).uploaded
    key = result.uri.removeprefix("s3://models/") + "weights.bin"
    assert s3.head_object(Bucket="models", Key=key)["SSEKMSKeyId"] == "alias/models"
    assert not upload(s3, folder, Storage("aws:kms", "alias/models")).uploaded


def test_a_large_file_goes_in_parts(
    s3: Any, folder: Path, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_sm_hosting.artifacts.prefix.THRESHOLD", 100_000)
    monkeypatch.setattr(transfer, "THRESHOLD", 100_000)
    assert below(s3, upload(s3, folder).uri) == FILES
    assert calls.count("CompleteMultipartUpload") == 1


def test_a_file_that_changes_after_it_was_hashed_is_not_stored(
    s3: Any, folder: Path, calls: list[str]
) -> None:
    hashed = hash_folder(folder, log)
    (folder / "config.json").write_bytes(b"[]")
    with pytest.raises(ModelDataError, match=r"config\.json was written anew"):
        upload_files_if_absent(s3, hashed, bucket="models", prefix="p", storage=Storage(), log=log)
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="models").get("Contents", [])]
    assert "p/config.json" not in keys
    assert "p.manifest.json" not in keys


def test_a_missing_bucket_is_said_so(folder: Path, s3: Any) -> None:
    with pytest.raises(NotFoundError, match="bucket 'nowhere' does not exist"):
        upload_files_if_absent(
            s3, hash_folder(folder, log), bucket="nowhere", prefix="p", storage=Storage(), log=log
        )


names = st.from_regex(r"[a-c]{1,2}(/[d-f]{1,2})?", fullmatch=True)


@given(
    one=st.dictionaries(names, st.binary(max_size=20), min_size=1, max_size=4),
    other=st.dictionaries(names, st.binary(max_size=20), min_size=1, max_size=4),
)
def test_the_digest_is_that_of_paths_and_contents(
    one: dict[str, bytes], other: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    trees = [
        tree for tree in (one, other) if not any(a != b and b.startswith(f"{a}/") for a in tree for b in tree)
    ]
    found = [hash_folder(write(tmp_path_factory.mktemp("tree"), tree), log).sha256 for tree in trees]
    assert len(set(found)) == len(
        {json.dumps({k: v.hex() for k, v in sorted(tree.items())}) for tree in trees}
    )


@pytest.mark.parametrize(
    ("name", "words"), [("a\nb", "not printable UTF-8"), (os.fsdecode(b"\xff"), "not printable UTF-8")]
)
def test_a_name_that_is_no_key_is_refused(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / name).write_text("1")
    with pytest.raises(ModelDataError, match=words):
        hash_folder(tmp_path, log)


def test_only_a_folder_with_files_is_taken(tmp_path: Path) -> None:
    with pytest.raises(ModelDataError, match="contains no file"):
        hash_folder(tmp_path, log)
    (tmp_path / "model.tar.gz").write_bytes(b"1")
    with pytest.raises(InvalidSpecError, match="not a folder"):
        hash_folder(tmp_path / "model.tar.gz", log)


def test_a_key_that_s3_would_refuse_is_refused(s3: Any, folder: Path) -> None:
    with pytest.raises(InvalidSpecError, match="shorten the prefix"):
        upload(s3, folder, prefix="p" * 1010)
