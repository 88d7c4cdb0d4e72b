"""Judging, without a container: a table of cases, and what holds of every observation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.container_check.contract import BIND_LABEL, MULTI_MODEL_LABEL
from airflow_sm_hosting.container_check.judging import judge
from airflow_sm_hosting.container_check.observation import (
    Condition,
    Ended,
    Exchange,
    Image,
    Listening,
    Manifest,
    Observation,
    Run,
    Silence,
    Stopped,
)
from airflow_sm_hosting.container_check.report import Result, Row
from airflow_sm_hosting.container_check.wanted import SampleRequest, Wanted

ONE = SampleRequest("one", b"{}")
IMAGE = Image("churn:1", "linux/amd64", 10**9, ("python3", "serve.py"))
HERE = (Listening("0.0.0.0", 8080),)
PING = Exchange("GET", "/ping", 0.01, 200)
ANSWER = Exchange("POST", "/invocations", 0.1, 200, content_type="application/json", body=b'{"a": 1}')
GOOD = Run(
    port=8080,
    ready_seconds=1.0,
    later_pings=(PING,) * 4,
    sockets=HERE,
    answers=(ANSWER,),
    memory_mb=100.0,
    stopped=Stopped(0.1, was_killed=False),
)
WANTED = Wanted(instance_type="ml.m5.large", requests=(ONE,), has_model_data=True)


def rows_of(
    run: Run = GOOD, wanted: Wanted = WANTED, image: Image | None = IMAGE, **more: Any
) -> dict[str, Row]:
    runs = {Condition.PLAIN: run, **more.pop("runs", {})}
    rows = judge(wanted, Observation(image, runs=runs, **more))
    assert len({row.check for row in rows}) == len(rows)
    return {row.check: row for row in rows}


def failed(rows: dict[str, Row]) -> list[str]:
    return [name for name, row in rows.items() if row.result is Result.FAILED]


def test_a_good_container_has_no_failure_and_no_warning() -> None:
    rows = rows_of()
    assert {row.result for row in rows.values()} == {Result.OK, Result.SKIPPED}
    assert [name for name, row in rows.items() if row.result is Result.SKIPPED] == [
        "manifest",
        "bind-to-port",
    ]


def never_ready(status: int | None = None, silence: Silence | None = None, **more: Any) -> Run:
    ping = Exchange("GET", "/ping", 2.0, status, silence)
    return replace(GOOD, ready_seconds=None, last_ping=ping, later_pings=(), answers=(), stopped=None, **more)


def answered(status: int | None = None, **more: Any) -> Run:
    return replace(GOOD, answers=(replace(ANSWER, status=status, **more),))


#: The run, the row, words of what was seen, and words of the remedy.
FAILURES: list[tuple[Run, str, str, str]] = [
    (Run(8080, start_error='exec: "serve": executable file not found in $PATH'), "serve", "no program 'serve'", "ENTRYPOINT"),
    (Run(8080, start_error="something new"), "serve", "something new", "Correct ENTRYPOINT"),
    (Run(8080, ended=Ended(3)), "serve", "exit code 3", "log say why"),
    (Run(8080, ended=Ended(0)), "serve", "exit code 0", "foreground"),
    (Run(8080, ended=Ended(1), log=("ModuleNotFoundError: No module named 'x'",)), "serve", "dependency", "Install it"),
    (Run(8080, ended=Ended(137), was_out_of_memory=True), "serve", "all of its memory", "'memory'"),
    (Run(8080, ended=Ended(137), was_out_of_memory=True), "memory", "more than 8192 MB", "larger|more memory"),
    (never_ready(silence=Silence.CLOSED, sockets=()), "port", "on no port", "Start a server"),
    (never_ready(silence=Silence.CLOSED, sockets=(Listening("127.0.0.1", 8080),)), "port", "only", "0.0.0.0:8080"),
    (never_ready(silence=Silence.CLOSED, sockets=(Listening("::", 80),)), "port", "[::]:80, not on port 8080", "0.0.0.0:8080"),
    (never_ready(silence=Silence.CLOSED, sockets=()), "ping", "it listens on no port", "startup timeout"),
    (never_ready(silence=Silence.CLOSED, sockets=(Listening("::", 80),)), "ping", "[::]:80", "'port'"),
    (never_ready(silence=Silence.UNREACHABLE), "ping", "closed", "startup timeout"),
    (never_ready(silence=Silence.TIMEOUT), "ping", "within 2 s", "thread of its own"),
    (never_ready(silence=Silence.NOT_HTTP), "ping", "no HTTP", "plain HTTP"),
    (never_ready(404), "ping", "404", "Add the route"),
    (never_ready(405), "ping", "405", "Add the route"),
    (never_ready(301), "ping", "301", "redirect"),
    (never_ready(403), "ping", "403", "credentials"),
    (never_ready(503), "ping", "503", "not healthy."),
    (never_ready(500, log=("MemoryError",)), "ping", "500", "more memory"),
    (never_ready(204), "ping", "204", "any other status"),
    (replace(GOOD, later_pings=(PING, replace(PING, status=500))), "ping", "then 500", "within 2 s"),
    (replace(GOOD, later_pings=(replace(PING, status=None, silence=Silence.TIMEOUT),)), "ping", "then no answer", "within 2 s"),
    (answered(None, silence=Silence.TIMEOUT), "invocations", "within 60 s", "asynchronous"),
    (answered(None, silence=Silence.CLOSED), "invocations", "closed connection", "worker"),
    (replace(answered(None, silence=Silence.CLOSED), ended=Ended(1)), "invocations", "the container ended", "worker"),
    (replace(answered(None, silence=Silence.CLOSED), was_out_of_memory=True), "invocations", "closed connection", "'memory'"),
    (replace(answered(None, silence=Silence.CLOSED), log=("MemoryError",)), "invocations", "more memory", "larger"),
    (answered(None, silence=Silence.UNREACHABLE), "invocations", "no connection", "worker"),
    (answered(None, silence=Silence.NOT_HTTP), "invocations", "no HTTP", "worker"),
    (answered(200, is_too_large=True), "invocations", "26214400", "asynchronous"),
    (answered(404), "invocations", "404", "Add the route POST /invocations"),
    (answered(405), "invocations", "405", "Add the route"),
    (answered(406), "invocations", "406", "Accept"),
    (answered(415), "invocations", "415", "application/json"),
    (answered(400, body=b"x" * 2000), "invocations", "xxx…", "Correct the request"),
    (answered(307), "invocations", "307", "redirect"),
    (answered(500), "invocations", "500", "what failed"),
    (replace(GOOD, stopped=Stopped(30.0, was_killed=True, exit_code=137)), "SIGTERM", "within 30 s", "signal.signal"),
    (replace(GOOD, log=("OSError: [Errno 30] Read-only file system: '/opt/ml/model/x'",)), "model data", "read-only access", "/tmp"),
]  # fmt: skip


@pytest.mark.parametrize(("run", "row", "seen", "remedy"), FAILURES)
def test_a_failure_has_its_row_and_its_remedy(run: Run, row: str, seen: str, remedy: str) -> None:
    found = rows_of(run)[row]
    assert found.result is Result.FAILED
    assert seen in found.seen
    assert any(words in found.remedy for words in remedy.split("|"))


@pytest.mark.parametrize(
    ("entrypoint", "remedy"),
    [
        (("/bin/sh", "-c", "python3 serve.py"), "shell form"),
        (("bash", "start"), "with exec"),
        (("/start.sh",), "with exec"),
        (("python3", "-c", "…"), "signal.signal"),
        ((), "signal.signal"),
    ],
)
def test_the_remedy_of_an_unheard_sigterm_follows_from_the_entry_point(
    entrypoint: tuple[str, ...], remedy: str
) -> None:
    run = replace(GOOD, stopped=Stopped(30.0, was_killed=True))
    assert remedy in rows_of(run, image=replace(IMAGE, entrypoint=entrypoint))["SIGTERM"].remedy


@pytest.mark.parametrize(
    ("expect", "body", "right"),
    [
        ("a", b"banana", True),
        ("x", b"banana", False),
        ({"a": [1]}, b'{"a": [1.0]}', True),
        ({"a": [1]}, b'{"a": [2]}', False),
        ({"a": [1]}, b"no JSON", False),
        (0, b"0", True),
        (None, b"\xff", True),
        ("\ufffd", b"\xff", True),
    ],
)
def test_an_answer_is_compared_with_the_expected_one(expect: Any, body: bytes, right: bool) -> None:
    wanted = replace(WANTED, requests=(replace(ONE, expect=expect),))
    rows = rows_of(answered(200, body=body), wanted)
    assert (rows["invocations"].result is Result.OK) == right
    assert right or "expected: " in rows["invocations"].seen


def test_each_request_has_a_row_and_later_ones_are_not_asked_of_a_container_that_ended() -> None:
    wanted = replace(WANTED, requests=(ONE, replace(ONE, name="two")))
    rows = rows_of(answered(500), wanted)
    assert failed(rows) == ["invocations: one"]
    assert rows["invocations: two"].result is Result.SKIPPED


@pytest.mark.parametrize(
    ("run", "row", "seen"),
    [
        (answered(200, content_type=None), "invocations", "no content type"),
        (answered(200, body=b"x" * 6_291_457), "invocations", "6291456"),
        (replace(GOOD, memory_mb=7900.0), "memory", "7900 MB used of 8192 MB"),
    ],
)
def test_a_warning_is_no_failure(run: Run, row: str, seen: str) -> None:
    rows = rows_of(run)
    assert failed(rows) == []
    assert (rows[row].result, seen in rows[row].seen) == (Result.WARNING, True)


def test_an_empty_answer_needs_no_content_type() -> None:
    assert rows_of(answered(204, content_type=None, body=b""))["invocations"].result is Result.OK


@pytest.mark.parametrize(
    ("wanted", "used", "result", "seen"),
    [
        (Wanted(), 100.0, Result.SKIPPED, "100 MB used; no instance type"),
        (Wanted(), None, Result.SKIPPED, "no instance type"),
        (
            Wanted(instance_type="ml.p6-b200.48xlarge"),
            1.0,
            Result.SKIPPED,
            "ml.p6-b200.48xlarge is not known",
        ),
        (Wanted(memory_mb=512), None, Result.OK, "no process was killed with 512 MB"),
        (Wanted(serverless_memory_mb=1024), 100.0, Result.OK, "100 MB used of 1024 MB"),
        (Wanted(memory_mb=512, serverless_memory_mb=1024), 500.0, Result.WARNING, "500 MB used of 512 MB"),
    ],
)
def test_memory_is_judged_where_there_is_a_limit(
    wanted: Wanted, used: float | None, result: Result, seen: str
) -> None:
    row = rows_of(replace(GOOD, memory_mb=used), wanted)["memory"]
    assert (row.result, seen in row.seen) == (result, True)


def test_a_killed_process_without_a_limit_is_told_too() -> None:
    assert "for want of memory" in rows_of(replace(GOOD, was_out_of_memory=True), Wanted())["memory"].seen


@pytest.mark.parametrize(
    ("instance_type", "platform", "result"),
    [
        (None, "linux/amd64", Result.OK),
        (None, "linux/arm64", Result.FAILED),
        ("ml.c7g.large", "linux/arm64", Result.OK),
        ("ml.c7g.large", "linux/amd64", Result.FAILED),
        ("ml.m5.large", "windows/amd64", Result.FAILED),
    ],
)
def test_the_platform_is_that_of_the_instance_type(
    instance_type: str | None, platform: str, result: Result
) -> None:
    rows = rows_of(image=replace(IMAGE, platform=platform), wanted=Wanted(instance_type=instance_type))
    assert rows["platform"].result is result
    if result is Result.FAILED:
        assert "exec format error" in rows["platform"].remedy


@pytest.mark.parametrize(
    ("manifest", "result"),
    [
        (None, Result.SKIPPED),
        (Manifest("", "HTTP 404"), Result.SKIPPED),
        (Manifest("application/vnd.docker.distribution.manifest.v2+json"), Result.OK),
        (Manifest("application/vnd.oci.image.manifest.v1+json", "refused"), Result.FAILED),
        (Manifest("a list", "not documented", is_certain=False), Result.WARNING),
    ],
)
def test_a_manifest_is_judged_by_its_problem(manifest: Manifest | None, result: Result) -> None:
    assert rows_of(manifest=manifest)["manifest"].result is result


def test_the_size_of_an_image_counts_for_serverless_endpoints() -> None:
    large = replace(IMAGE, size=10 * 1024**3 + 1)
    assert "image size" not in rows_of(image=large)
    serverless = Wanted(serverless_memory_mb=1024)
    assert rows_of(image=large, wanted=serverless)["image size"].result is Result.FAILED
    assert rows_of(wanted=serverless)["image size"].result is Result.OK


@pytest.mark.parametrize(
    ("user", "is_told"), [("", False), ("0", False), ("root:root", False), ("app", True), ("1000:0", True)]
)
def test_a_user_other_than_root_is_told(user: str, is_told: bool) -> None:
    assert ("user" in rows_of(image=replace(IMAGE, user=user))) == is_told


@pytest.mark.parametrize(
    ("entrypoint", "result"), [(("/usr/bin/tini-static", "--"), Result.WARNING), (("martini",), Result.OK)]
)
def test_tini_is_told(entrypoint: tuple[str, ...], result: Result) -> None:
    assert rows_of(image=replace(IMAGE, entrypoint=entrypoint))["serve"].result is result


def test_sockets_that_cannot_be_read_are_no_failure() -> None:
    assert rows_of(never_ready(silence=Silence.CLOSED, sockets=None))["port"].result is Result.SKIPPED
    assert rows_of(replace(GOOD, sockets=None))["port"].seen == "it listens on port 8080"
    assert rows_of(never_ready(404))["port"].seen == "it listens on 0.0.0.0:8080"


# Labels and conditions

BOUND = replace(IMAGE, labels={BIND_LABEL: "true"})
MANY = replace(IMAGE, labels={MULTI_MODEL_LABEL: "true"})
LISTED = Exchange("GET", "/models", 0.01, 200)


@pytest.mark.parametrize(
    ("other", "result", "seen"),
    [
        (replace(GOOD, port=18080), Result.OK, "18080"),
        (replace(never_ready(silence=Silence.CLOSED), port=18080), Result.FAILED, "but it listens on 0.0.0.0:8080, not on"),
        (Run(18080, ended=Ended(1)), Result.FAILED, "but it ended with exit code 1"),
        (replace(never_ready(404), port=18080, sockets=None), Result.FAILED, "but 404 to GET /ping"),
        (None, Result.SKIPPED, "no container was run"),
    ],
)  # fmt: skip
def test_a_promise_to_bind_is_kept(other: Run | None, result: Result, seen: str) -> None:
    runs = {} if other is None else {Condition.OTHER_PORT: other}
    row = rows_of(image=BOUND, runs=runs)["bind-to-port"]
    assert (row.result, seen in row.seen) == (result, True), row


@pytest.mark.parametrize(
    ("run", "result", "seen"),
    [
        (replace(GOOD, model_calls=(LISTED,), unloading=LISTED), Result.OK, "unloaded"),
        (replace(GOOD, model_calls=(LISTED,)), Result.OK, "unloaded"),
        (GOOD, Result.FAILED, "not asked for"),
        (replace(GOOD, model_calls=(replace(LISTED, status=404, body=b"no"),)), Result.FAILED, "404 to GET /models; expected: 200, body 'no'"),
        (replace(GOOD, model_calls=(LISTED,), unloading=replace(LISTED, status=None, silence=Silence.CLOSED)), Result.FAILED, "closed"),
        (never_ready(404), Result.SKIPPED, "does not answer /ping"),
    ],
)  # fmt: skip
def test_a_multi_model_container_serves_the_models_api(run: Run, result: Result, seen: str) -> None:
    row = rows_of(run, Wanted(multi_model=True), MANY)["multi-model"]
    assert (row.result, seen in row.seen) == (result, True), row


def test_the_label_of_multi_model_containers_is_told_and_needed() -> None:
    assert rows_of(image=MANY)["multi-model"].result is Result.SKIPPED
    assert rows_of(wanted=Wanted(multi_model=True))["multi-model"].result is Result.FAILED
    assert "multi-model" not in rows_of()


@pytest.mark.parametrize("condition", [Condition.NETWORK_ISOLATION, Condition.READ_ONLY, Condition.NON_ROOT])
@pytest.mark.parametrize(
    ("run", "result"),
    [
        (GOOD, Result.OK),
        (replace(GOOD, answers=()), Result.FAILED),
        (replace(GOOD, ended=Ended(1)), Result.FAILED),
        (replace(GOOD, later_pings=(Exchange("GET", "/ping", 0.1, status=500),)), Result.FAILED),
        (replace(GOOD, model_calls=(Exchange("POST", "/models", 0.1, status=500),)), Result.FAILED),
        (answered(500), Result.FAILED),
        (never_ready(500), Result.FAILED),
        (Run(8080, ended=Ended(1)), Result.FAILED),
        (Run(8080, start_error="no"), Result.FAILED),
        (Run(8080, not_possible="in a virtual machine"), Result.SKIPPED),
        (None, Result.SKIPPED),
    ],
)  # fmt: skip
def test_other_conditions_are_judged_like_the_plain_one(
    condition: Condition, run: Run | None, result: Result
) -> None:
    name = {"network isolation": "network_isolation", "read-only": "read_only", "non-root": "non_root"}[
        condition
    ]
    runs = {} if run is None else {condition: run}
    rows = rows_of(wanted=replace(WANTED, **{name: True}), runs=runs)
    assert rows[condition].result is result
    assert condition not in rows_of(runs=runs)


def test_a_read_only_file_system_is_only_assumed_for_serverless_endpoints() -> None:
    runs = {Condition.READ_ONLY: never_ready(500)}
    serverless = Wanted(serverless_memory_mb=1024)
    assert rows_of(wanted=serverless, runs=runs)["read-only"].result is Result.WARNING
    assert rows_of(wanted=replace(serverless, read_only=True), runs=runs)["read-only"].result is Result.FAILED


# What holds of every observation


def test_without_an_image_or_model_data_nothing_else_fails() -> None:
    rows = judge(WANTED, Observation(None, "pull access denied"))
    assert [(row.check, row.result) for row in rows if row.result is not Result.SKIPPED] == [
        ("image", Result.FAILED)
    ]
    rows = judge(WANTED, Observation(IMAGE, model_error="it is damaged"))
    assert [row.check for row in rows if row.result is Result.FAILED] == ["model data"]
    assert rows_of(wanted=Wanted())["model data"].result is Result.SKIPPED


EXCHANGES = [
    *(Exchange("GET", "/ping", 1.0, status) for status in (200, 204, 302, 401, 404, 500)),
    *(Exchange("GET", "/ping", 1.0, silence=silence) for silence in Silence),
]
SOCKETS = [None, (), HERE, (Listening("127.0.0.1", 8080),), (Listening("0.0.0.0", 1), Listening("::1", 8080))]


def runs() -> Iterator[Run]:
    """Return runs of all shapes, also those that an engine would hardly show."""
    for start_error, ready, ended, oom, sockets, ping, answer in itertools.product(
        ("", "no such file"), (None, 1.0), (None, Ended(0), Ended(1)), (False, True), SOCKETS, EXCHANGES, (None, *EXCHANGES)
    ):  # fmt: skip
        yield Run(
            port=8080,
            start_error=start_error,
            ready_seconds=ready,
            last_ping=ping,
            later_pings=(ping,) if ready else (),
            sockets=sockets,
            answers=() if answer is None else (answer,),
            ended=ended,
            was_out_of_memory=oom,
            stopped=None if ended else Stopped(1.0, was_killed=oom),
        )


@pytest.mark.exhaustive
def test_every_failure_says_what_was_seen_and_what_to_do() -> None:
    for run in runs():
        rows = rows_of(run, image=BOUND, runs={Condition.OTHER_PORT: run})
        for row in rows.values():
            assert row.seen
            assert row.remedy or row.result is not Result.FAILED, row
        is_good = run.ready_seconds is not None and not run.start_error and not run.was_out_of_memory
        is_good &= all(ping.status == 200 for ping in run.later_pings)
        is_good &= all(answer.is_success for answer in run.answers) and not (
            run.stopped and run.stopped.was_killed
        )
        elsewhere = run.sockets is not None and not any(one == HERE[0] for one in run.sockets)
        # A container that answers on its port is not told to listen elsewhere, whatever the table says.
        assert (failed(rows) == []) == is_good, (run, failed(rows))
        assert ("port" in failed(rows)) <= elsewhere


@given(
    wanted=st.builds(
        Wanted,
        instance_type=st.sampled_from([None, "ml.m5.large", "ml.c7g.xlarge"]),
        multi_model=st.booleans(),
        network_isolation=st.booleans(),
        read_only=st.booleans(),
        non_root=st.booleans(),
        requests=st.lists(st.just(ONE), max_size=1).map(tuple),
    ),
    image=st.sampled_from([None, IMAGE, BOUND, MANY]),
    conditions=st.sets(st.sampled_from(Condition)),
)
def test_what_was_not_run_is_never_a_failure_of_the_container(
    wanted: Wanted, image: Image | None, conditions: set[Condition]
) -> None:
    observed = Observation(image, runs=dict.fromkeys(conditions, GOOD))
    rows = {row.check: row for row in judge(wanted, observed)}
    if Condition.PLAIN not in conditions:
        run_by_us = {"serve", "port", "ping", "invocations", "memory", "SIGTERM"}
        assert {rows[name].result for name in run_by_us} == {Result.SKIPPED}
    for condition in set(Condition) - conditions - {Condition.PLAIN}:
        assert condition not in rows or rows[condition].result is Result.SKIPPED
