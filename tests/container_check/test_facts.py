"""The small pure parts: instance types, sockets, requests, causes, manifests, and the report."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.container_check.contract import MAX_BODY_IN_MODEL
from airflow_sm_hosting.container_check.diagnosis import diagnose
from airflow_sm_hosting.container_check.instances import memory_mb_of
from airflow_sm_hosting.container_check.observation import Listening, listening_sockets
from airflow_sm_hosting.container_check.registry_manifest import judged_manifest, manifest_of
from airflow_sm_hosting.container_check.report import (
    MAX_LINE,
    MAX_LINES,
    Report,
    Result,
    Row,
    last_lines,
    table,
)
from airflow_sm_hosting.container_check.request_checks import check_requests
from airflow_sm_hosting.container_check.wanted import (
    SampleRequest,
    Wanted,
    sample_requests,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.service_model.shapes import service_model
from airflow_sm_hosting.spec.instance_type import platform_of
from airflow_sm_hosting.spec.masking import masker

SHAPE: Any = service_model("sagemaker").shape_for("ProductionVariantInstanceType")
INSTANCE_TYPES = SHAPE.enum

# Instance types


@pytest.mark.parametrize(
    ("instance_type", "memory"),
    [
        ("ml.t2.medium", 4096),
        ("ml.m5.large", 8192),
        ("ml.m5.24xlarge", 384 * 1024),
        ("ml.c5.9xlarge", 72 * 1024),
        ("ml.c4.large", 3840),
        ("ml.r6g.16xlarge", 512 * 1024),
        ("ml.c6g.medium", 2048),
        ("ml.g5.12xlarge", 192 * 1024),
        ("ml.m5.metal", None),
        ("ml.t2.nano", None),
        ("ml.x99.large", None),
    ],
)
def test_the_memory_of_an_instance_type(instance_type: str, memory: int | None) -> None:
    assert memory_mb_of(instance_type) == memory


def test_most_instance_types_of_botocore_have_a_memory_and_larger_sizes_have_more() -> None:
    known = {one: memory for one in INSTANCE_TYPES if (memory := memory_mb_of(one))}
    assert len(known) > 0.75 * len(INSTANCE_TYPES)
    families: dict[str, list[tuple[float, int]]] = {}
    for one, memory in known.items():
        _, family, size = one.split(".")
        order = {"medium": 0.25, "large": 0.5, "xlarge": 1.0}.get(size) or float(size.removesuffix("xlarge"))
        families.setdefault(family, []).append((order, memory))
    for sizes in families.values():
        in_order = [memory for _, memory in sorted(sizes)]
        assert in_order == sorted(set(in_order))


def test_arm_is_known_by_the_family() -> None:
    arm = {one.split(".")[1] for one in INSTANCE_TYPES if platform_of(one) == "linux/arm64"}
    assert arm >= {"c6g", "c6gd", "c6gn", "c7g", "c8g", "m6g", "m6gd", "m8g", "r6g", "r6gd", "r7gd", "r8g"}
    assert arm.isdisjoint(
        {"g4dn", "g5", "g6", "g6e", "m5", "m6i", "c6i", "c6in", "inf2", "trn1", "p5", "p6-b200", "dl1"}
    )


# Sockets


@given(
    st.lists(
        st.tuples(st.ip_addresses(), st.integers(1, 65535), st.sampled_from(["0A", "01", "06"])), max_size=8
    )
)
def test_the_kernels_table_gives_the_sockets_that_listen(sockets: list[tuple[Any, int, str]]) -> None:
    lines = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    ]
    for number, (address, port, state) in enumerate(sockets):
        packed = address.packed
        shown = "".join(packed[start : start + 4][::-1].hex().upper() for start in range(0, len(packed), 4))
        lines.append(f"   {number}: {shown}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000")
    expected = {(str(address), port) for address, port, state in sockets if state == "0A"}
    assert set(listening_sockets("\n".join(lines))) == {one for one in expected if one[0] != "127.0.0.11"}


def test_a_table_as_linux_writes_it() -> None:
    text = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1\n"
        "   1: 0B00007F:B2C1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1\n"
        "   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000\n"
    )
    assert [str(one) for one in listening_sockets(text)] == ["[::]:80", "127.0.0.1:8080"]
    assert listening_sockets("cat: no such file") == ()


@pytest.mark.parametrize(
    ("address", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_loopback(address: str, is_loopback: bool) -> None:
    assert Listening(str(ipaddress.ip_address(address)), 80).is_loopback == is_loopback


# Requests


def test_requests_come_from_dicts_and_files(tmp_path: Path) -> None:
    (tmp_path / "body.csv").write_text("1,2")
    (tmp_path / "full.json").write_text(json.dumps({"body": [1], "expect": "x", "accept": "text/csv"}))
    (tmp_path / "plain.json").write_text('{"body": [1], "instances": []}')
    (tmp_path / "odd.bin").write_bytes(b"\xff\x00")
    entries: list[Any] = [{"body": {"a": 1}}, {"body": "a,b", "content_type": "text/csv", "name": "rows"}]
    entries += ["body.csv", "full.json", "plain.json", "odd.bin"]
    check_requests("requests", entries)
    assert sample_requests(entries, tmp_path.joinpath) == (
        SampleRequest("request 1", b'{"a": 1}'),
        SampleRequest("rows", b"a,b", "text/csv"),
        SampleRequest("body.csv", b"1,2", "text/csv"),
        SampleRequest("full.json", b"[1]", accept="text/csv", expect="x"),
        SampleRequest("plain.json", b'{"body": [1], "instances": []}'),
        SampleRequest("odd.bin", b"\xff\x00", "application/octet-stream"),
    )


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, r"requests\[0\]: body is None"),
        ({"body": b"x"}, "body is 1 bytes"),
        ({"body": 1, "contnt_type": "a"}, "Did you mean 'content_type'"),
        ({"body": 1, "accept": 3}, "accept is 3"),
        (5, "a dict with a body, or the path"),
        ("", "a dict with a body, or the path"),
    ],
)
def test_a_request_that_can_never_work_is_an_error(entry: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        check_requests("requests", [entry])


def test_values_that_airflow_fills_in_are_no_error() -> None:
    check_requests("requests", ["{{ x }}", {"body": "{{ x }}", "accept": "{{ y }}"}])


def test_files_that_cannot_be_read_and_bodies_that_are_too_large_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match=r"absent.json cannot be read: No such file"):
        sample_requests(["absent.json"], tmp_path.joinpath)
    (tmp_path / "bad.json").write_text('{"body": null}')
    with pytest.raises(InvalidSpecError, match=r"bad.json: body is None"):
        sample_requests(["bad.json"], tmp_path.joinpath)
    with pytest.raises(InvalidSpecError, match="6291457 bytes"):
        sample_requests([{"body": "x" * (MAX_BODY_IN_MODEL + 1)}], tmp_path.joinpath)


def test_the_limits_follow_from_the_kind_of_endpoint() -> None:
    serverless = Wanted(serverless_memory_mb=2048)
    assert (serverless.memory_limit_mb, serverless.max_response) == (2048, 4 * 1024 * 1024)
    assert Wanted(instance_type="ml.m5.large").memory_limit_mb == 8192
    assert Wanted(instance_type="ml.m5.large", memory_mb=10).memory_limit_mb == 10
    assert (Wanted().memory_limit_mb, Wanted().max_response) == (None, 25 * 1024 * 1024)


# Causes


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("standard_init_linux.go:228: exec user process caused: exec format error", "exec format error"),
        ("exec /opt/start: exec format error", "exec format error"),
        (
            'OCI runtime create failed: exec: "serve": executable file not found in $PATH: unknown',
            "no program 'serve'",
        ),
        ('exec: "serve": stat serve: no such file or directory', "no program 'serve'"),
        ('exec: "/x": stat /x: no such file or directory: unknown', "is not in the image"),
        ('exec: "uvicorn": executable file not found in $PATH', "is not in the image"),
        ("standard_init_linux.go:228: exec user process caused: no such file or directory", "interpreter"),
        ("exec /opt/start: no such file or directory", "interpreter"),
        ('exec: "/opt/start": permission denied: unknown', "not executable"),
        ("serve.py: error: unrecognized arguments: serve", "the argument 'serve'"),
        ("Error: No such command 'serve'.", "the argument 'serve'"),
        ("/bin/sh: serve: not found", "the argument 'serve'"),
        (
            "python3: can't open file '/app/serve': [Errno 2] No such file or directory",
            "the argument 'serve'",
        ),
        ("OSError: [Errno 30] Read-only file system: '/app/cache'", "read-only"),
        ("OSError: [Errno 98] Address already in use", "taken"),
        ("ModuleNotFoundError: No module named 'sklearn'", "dependency"),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/opt/ml/model/model.json'",
            "file of the model",
        ),
        ("PermissionError: [Errno 13] Permission denied: '/root/x'", "may not use"),
        ("socket.gaierror: [Errno -3] Temporary failure in name resolution", "network"),
        ("numpy.core._exceptions.MemoryError: Unable to allocate", "memory"),
        ("Traceback (most recent call last):", None),
    ],
)
def test_a_known_cause_is_found_in_what_was_said(line: str, cause: str | None) -> None:
    found = diagnose(["before", line, "after"])
    assert (found is None) if cause is None else (found is not None and cause in found.cause)


@given(st.lists(st.text(max_size=200), max_size=5))
def test_any_text_can_be_searched(lines: list[str]) -> None:
    found = diagnose(lines)
    assert found is None or (found.cause and found.remedy)


# Manifests

LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "size": 1, "digest": "sha256:1"}
OCI = {
    "schemaVersion": 2,
    "config": {"mediaType": manifests.OCI_CONFIG, "size": 1, "digest": "sha256:2"},
    "layers": [LAYER],
}


@pytest.mark.parametrize(
    ("media_type", "content", "problem", "is_certain"),
    [
        (manifests.DOCKER_MANIFEST, {}, "", True),
        (manifests.DOCKER_MANIFEST_LIST, {}, "not documented", False),
        (manifests.OCI_INDEX, {}, "CreateModel refuses", True),
        (manifests.OCI_MANIFEST, OCI, "CreateModel refuses", True),
        (
            manifests.OCI_MANIFEST,
            {**OCI, "layers": [{**LAYER, "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}]},
            "zstd",
            True,
        ),
    ],
)
def test_sagemaker_takes_dockers_manifests(
    media_type: str, content: dict[str, Any], problem: str, is_certain: bool
) -> None:
    found = judged_manifest(media_type, content)
    assert found.media_type == media_type
    assert problem in found.problem
    assert bool(found.problem) == bool(problem)
    assert found.is_certain == is_certain


def test_a_name_without_a_registry_has_no_manifest_and_a_silent_registry_is_no_failure() -> None:
    assert manifest_of("churn:latest", None) is None
    assert manifest_of("library/python:3.12", None) is None


# The report

ROWS = (
    Row("image", Result.OK, "churn:1", "a remedy that a good row does not show"),
    Row("ping", Result.FAILED, "404 to GET /ping " * 6, "Add the route GET /ping. " * 6, ("line one", "the key is hunter2hunter2")),
    Row("memory", Result.WARNING, "7900 MB", "Choose more."),
    Row("SIGTERM", Result.SKIPPED, "it never ran"),
)  # fmt: skip
REPORT = Report("churn:1", ROWS, 2.34)


def test_the_table_has_what_a_person_needs_and_keeps_its_width() -> None:
    text = table(ROWS, width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["check", "result", "what", "was", "seen"]
    assert text.count("->") == 2
    assert "FAILED" in text
    assert "| line one" in text
    assert "a good row" not in text
    assert all(line == line.rstrip() for line in lines)
    assert table(()).split() == ["check", "result", "what", "was", "seen"]


def test_a_digest_is_never_cut() -> None:
    digest = f"repository@sha256:{'0' * 64}"
    assert digest in table((Row("image", Result.OK, f"it is {digest} here"),), width=50)


def test_the_summary_counts() -> None:
    assert REPORT.summary() == "churn:1: 1 of 3 checks failed, 1 with a warning (2.3 s)."
    assert Report("churn:1", ROWS[:1], 1).summary() == "churn:1: 1 checks passed (1.0 s)."
    assert not REPORT.has_passed
    assert [row.check for row in REPORT.failed] == ["ping"]


def test_the_details_are_plain_json_and_secrets_are_masked() -> None:
    details = REPORT.masked(masker(["hunter2hunter2"])).details()
    assert json.loads(json.dumps(details)) == details
    assert details["passed"] is False
    assert details["checks"][1]["log"] == ["line one", "the key is ***"]
    assert details["checks"][0]["log"] == []
    assert set(details) == {"image", "passed", "seconds", "checks"}


@given(st.text(alphabet="ab \n\r", max_size=3000))
def test_the_last_lines_are_few_and_short(log: str) -> None:
    lines = last_lines(log)
    assert len(lines) <= MAX_LINES
    assert all(line.strip() and len(line) <= MAX_LINE + 1 for line in lines)
