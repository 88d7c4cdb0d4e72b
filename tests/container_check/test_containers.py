"""Real containers, each with one fault, and the row that tells it; and containers without a fault."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest

from airflow_sm_hosting.container_check.report import Report, Result, Row
from airflow_sm_hosting.container_check.wanted import SampleRequest
from tests.container_check.conftest import BIND, ENTRYPOINT, MULTI_MODEL, Build, check

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
ONE = SampleRequest("one", b'{"x": 1}')
#: The limit of a container that never becomes ready.
SHORT = {"startup_seconds": 1.5}


def fault(name: str) -> tuple[str, ...]:
    return (f"ENV FAULT={name}", ENTRYPOINT)


@dataclass(frozen=True)
class Bad:
    """A container with a fault.

    :param name: The fault.
    :param row: The row that tells it.
    :param seen: What of the cause the row says.
    :param remedy: What of the remedy it says.
    :param lines: The Dockerfile behind the base and the serving script (default: with ``FAULT=name``).
    :param files: Further files of the build.
    :param wanted: What is checked.
    :param environment: The container's environment.
    :param with_model: Whether there is model data.
    :param also: Other rows that fail with it.
    """

    name: str
    row: str
    seen: str
    remedy: str
    lines: tuple[str, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    wanted: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    with_model: bool = False
    also: tuple[str, ...] = ()


SCRIPT = b"#!/usr/bin/python3\nimport runpy\nrunpy.run_path('/opt/program/serving.py', run_name='__main__')\n"
BAD = [
    # Its start
    Bad("rejects-serve", "serve", "does not take the argument 'serve'", "docker run IMAGE serve"),
    Bad("no-entrypoint", "serve", "there is no program 'serve'", "exec-form ENTRYPOINT",
        lines=('CMD ["python3", "/opt/program/serving.py"]',)),
    Bad("missing-program", "serve", "the program of the entry point is not in the image", "Correct the path",
        lines=('ENTRYPOINT ["/opt/program/absent"]',)),
    Bad("crlf", "serve", "interpreter in the first line", "LF, not CRLF",
        lines=("COPY start /opt/start", 'ENTRYPOINT ["/opt/start"]'),
        files={"start": b"#!/usr/bin/python3\r\nprint(1)\r\n"}),
    Bad("no-shebang", "serve", "exec format error", "first line must be #!",
        lines=("COPY start-#! /opt/start", "RUN chmod +x /opt/start", 'ENTRYPOINT ["/opt/start"]'),
        files={"start-#!": b"python3 /opt/program/serving.py\n"}),
    Bad("not-executable", "serve", "the entry point is not executable", r"chmod \+x",
        lines=("COPY plain /opt/start", 'ENTRYPOINT ["/opt/start"]'), files={"plain": SCRIPT}),
    Bad("crash", "serve", "a dependency is missing in the image", "Install it in the Dockerfile"),
    Bad("ends", "serve", "ended with exit code 0", "Keep the server in the foreground"),
    Bad("needs-model", "serve", "a file of the model is missing", "model_data"),
    # Where it listens
    Bad("loopback", "port", r"127\.0\.0\.1:8080 only", r"Listen on 0\.0\.0\.0:8080", wanted=SHORT, also=("ping",)),
    Bad("port", "port", r"0\.0\.0\.0:5000, not on port 8080", r"Listen on 0\.0\.0\.0:8080", wanted=SHORT, also=("ping",)),
    Bad("no-server", "port", "it listens on no port", "Start a server", wanted=SHORT, also=("ping",)),
    # Its health
    Bad("ping-404", "ping", "404 to GET /ping", "Add the route GET /ping", wanted=SHORT),
    Bad("ping-500", "ping", "500 to GET /ping", "a dependency is missing", wanted=SHORT),
    Bad("ping-redirect", "ping", r"302 to GET /ping.*to /health", "a redirect is no 200", wanted=SHORT),
    Bad("ping-slow", "ping", "no answer to GET /ping within 2 s", "must not wait for the model", wanted=SHORT),
    Bad("ping-once", "ping", "answered 200 after .* then 503", "Answer each GET /ping"),
    Bad("ping-after-request", "ping", "then 503", "also while there are requests", wanted={"requests": (ONE,)}),
    Bad("not-http", "ping", "no HTTP", "plain HTTP", wanted=SHORT),
    # Its answers
    Bad("no-invocations", "invocations", "404 to POST /invocations", "Add the route POST /invocations",
        wanted={"requests": (ONE,)}),
    Bad("invocation-error", "invocations", "500 to POST /invocations.*ValueError", "log say what failed",
        wanted={"requests": (ONE,)}),
    Bad("invocation-slow", "invocations", "no answer to POST /invocations within 1 s", "asynchronous endpoint",
        wanted={"requests": (ONE,), "invocation_seconds": 1.0}),
    Bad("invocation-huge", "invocations", "more than 26214400 bytes", "asynchronous endpoint", wanted={"requests": (ONE,)}),
    Bad("invocation-large", "invocations", "more than 4194304 bytes", "Answer with less",
        wanted={"requests": (ONE,), "serverless_memory_mb": 1024}),
    Bad("dies-in-request", "invocations", "closed connection.*the container ended", "ended during the request",
        wanted={"requests": (ONE,)}),
    Bad("wrong-answer", "invocations", "expected: the JSON", "Correct the model",
        wanted={"requests": (SampleRequest("one", b"1", expect={"got": "2"}),)}),
    # Its memory and its end
    Bad("eats-memory", "memory", "wanted more than 128 MB", "with more memory",
        wanted={"requests": (ONE,), "memory_mb": 128}, also=("invocations",)),
    Bad("eats-memory-at-start", "memory", "wanted more than 128 MB", "with more memory", wanted={"memory_mb": 128}, also=("serve",)),
    Bad("ignores-sigterm", "SIGTERM", "did not end within 1 s", "Handle SIGTERM in the first process", wanted={"stop_seconds": 1.0}),
    Bad("shell-form", "SIGTERM", "was killed", "shell form",
        lines=("ENTRYPOINT python3 -u /opt/program/serving.py; true",), wanted={"stop_seconds": 1.0}),
    # What its labels promise
    Bad("ignores-bind-to-port", "bind-to-port", r"SAGEMAKER_BIND_TO_PORT \(18080\), but it listens on 0\.0\.0\.0:8080",
        "or remove the label", lines=(*fault("ignores-bind-to-port"), BIND), wanted=SHORT),
    Bad("no-models", "multi-model", "404 to GET /models", "mms-container-apis",
        lines=(*fault("no-models"), MULTI_MODEL), wanted={"multi_model": True}, with_model=True),
    Bad("no-label", "multi-model", "has no label", "Add LABEL", lines=(ENTRYPOINT,), wanted={"multi_model": True}, with_model=True),
    # Its surroundings
    Bad("writes-to-model", "model data", "writes to /opt/ml/model", "below /tmp", with_model=True, also=("serve",)),
    Bad("writes-to-program", "read-only", "writes to a read-only file system", "below /tmp", wanted={"read_only": True}),
    Bad("needs-root", "non-root", "may not use a file", "Let every user read",
        lines=("RUN touch /etc/only-root && chmod 600 /etc/only-root", *fault("needs-root")), wanted={"non_root": True}),
]  # fmt: skip


def row_of(report: Report, name: str) -> Row:
    (row,) = (row for row in report.rows if row.check == name)
    return row


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_a_fault_is_told_by_its_row(bad: Bad, build: Build, model: Path) -> None:
    image = build(*(bad.lines or fault(bad.name)), files=bad.files)

    report = check(image, model=model if bad.with_model else None, environment=bad.environment, **bad.wanted)

    row = row_of(report, bad.row)
    assert row.result is Result.FAILED, report.rows
    assert re.search(bad.seen, row.seen), row
    assert re.search(bad.remedy, row.remedy), row
    assert {one.check for one in report.failed} == {bad.row, *bad.also}
    assert report.seconds < 60


def failures(report: Report) -> list[Row]:
    return [row for row in report.rows if row.result in (Result.FAILED, Result.WARNING)]


def test_a_container_that_keeps_the_contract_passes_everything(build: Build, model: Path) -> None:
    image = build("LABEL a=b", ENTRYPOINT, BIND)
    report = check(
        image,
        model=model,
        instance_type="ml.m5.large",
        requests=(ONE, SampleRequest("two", b"a,b", content_type="text/csv", expect="a,b")),
        network_isolation=True,
        read_only=True,
        non_root=True,
    )
    assert failures(report) == []
    # In no registry, so its manifest is nobody's.
    assert [row.check for row in report.rows if row.result is Result.SKIPPED] == ["manifest"]
    assert [row.check for row in report.rows if row.check.startswith("invocations")] == [
        "invocations: one",
        "invocations: two",
    ]
    assert re.match(rf"{image}: 14 checks passed \(", report.summary())


def test_a_multi_model_container_loads_asks_and_unloads_a_model(build: Build, model: Path) -> None:
    report = check(build(ENTRYPOINT, MULTI_MODEL, BIND), model=model, multi_model=True, requests=(ONE,))
    assert failures(report) == []
    assert row_of(report, "multi-model").result is Result.OK
    assert row_of(report, "invocations").result is Result.OK


def test_a_container_that_needs_the_network_fails_without_it_only(
    build: Build, docker_client: docker.DockerClient
) -> None:
    peer = docker_client.containers.run(build(ENTRYPOINT), detach=True)
    try:
        peer.reload()
        image = build(*fault("needs-network"))
        report = check(
            image, network_isolation=True, environment={"PEER": peer.attrs["NetworkSettings"]["IPAddress"]}
        )
    finally:
        peer.remove(force=True)
    assert [row.check for row in report.failed] == ["network isolation"]
    assert "exit code 1" in row_of(report, "network isolation").seen
    assert "into the image or the artifact" in row_of(report, "network isolation").remedy


def test_the_demos_container_passes(
    build: Build, docker_client: docker.DockerClient, tmp_path: Path, debian_base_image: str
) -> None:
    folder = ROOT / "dags" / "serving_image"
    tag = f"sm-hosting-check-test-{os.getpid()}:demo"
    docker_client.images.build(
        path=str(folder), buildargs={"BASE": debian_base_image}, tag=tag, rm=True, forcerm=True
    )
    trained = {
        "features": ["a"],
        "labels": ["x", "y"],
        "mean": [0],
        "scale": [1],
        "members": [{"weights": [1], "intercept": 0}],
    }
    (tmp_path / "model.json").write_text(json.dumps(trained))
    try:
        report = check(
            tag,
            model=tmp_path,
            instance_type="ml.m5.large",
            requests=(SampleRequest("one", b'{"instances": [[1]]}', expect={"labels": ["y"]}),),
            network_isolation=True,
            read_only=True,
            non_root=True,
        )
    finally:
        docker_client.images.remove(tag)
    assert failures(report) == []


@pytest.mark.parametrize(
    ("lines", "wanted", "row", "seen"),
    [
        (fault("no-content-type"), {"requests": (ONE,)}, "invocations", "no content type"),
        (fault("invocation-large"), {"requests": (ONE,)}, "invocations", "6291456 bytes at most"),
        (("USER nobody", ENTRYPOINT), {}, "user", "expects containers to run as root"),
        (fault("writes-to-program"), {"serverless_memory_mb": 1024}, "read-only", "writes to a read-only file system"),
        (("COPY tini /tini", 'ENTRYPOINT ["/tini"]'), {}, "serve", "tini"),
    ],
    ids=["no content type", "large answer", "user", "serverless", "tini"],
)  # fmt: skip
def test_what_may_be_wrong_is_a_warning(
    build: Build, lines: tuple[str, ...], wanted: dict[str, Any], row: str, seen: str
) -> None:
    report = check(build(*lines, files={"tini": SCRIPT}), **wanted)
    assert [one.check for one in failures(report)] == [row]
    found = row_of(report, row)
    assert found.result is Result.WARNING
    assert seen in found.seen
    assert report.has_passed


def test_an_image_for_another_platform_is_told_before_it_runs(
    build: Build, docker_client: docker.DockerClient
) -> None:
    image = build(ENTRYPOINT)
    report = check(image, instance_type="ml.c7g.large", startup_seconds=1.5)
    row = row_of(report, "platform")
    own = docker_client.images.get(image).attrs["Architecture"]
    assert (row.result, own in row.seen) == (Result.FAILED if own != "arm64" else Result.OK, True)
    assert "ml.c7g.large runs linux/arm64" in row.seen


def test_an_image_that_is_nowhere_leaves_the_rest_unchecked() -> None:
    report = check("127.0.0.1:1/absent:latest", requests=(ONE,))
    assert [row.check for row in report.failed] == ["image"]
    assert {row.result for row in report.rows} == {Result.FAILED, Result.SKIPPED}


def test_secret_values_of_the_environment_are_masked(build: Build) -> None:
    report = check(build(*fault("ping-500")), environment={"SECRET": "hunter2-hunter2"}, startup_seconds=1.5)
    log = row_of(report, "ping").log
    assert "the key is ***" in log
    assert "hunter2" not in json.dumps(report.details())


def test_a_container_without_cat_is_told_by_its_kernel_or_not_at_all(
    build: Build, docker_client: docker.DockerClient
) -> None:
    """The sockets come from the kernel's table here; an engine elsewhere would use the image's own cat."""
    image = build("RUN rm -f /bin/cat /usr/bin/cat", *fault("port"))
    row = row_of(check(image, **SHORT), "port")
    assert "0.0.0.0:5000" in row.seen
