"""From what was observed to the rows of the report. Pure: nothing here starts or asks anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from airflow_sm_hosting.container_check.contract import (
    BIND_LABEL,
    BIND_VARIABLE,
    COMMAND,
    MAX_BODY_IN_MODEL,
    MAX_SERVERLESS_IMAGE,
    MODEL_PATH,
    MULTI_MODEL_LABEL,
    PING_SECONDS,
    PORT,
)
from airflow_sm_hosting.container_check.diagnosis import diagnose
from airflow_sm_hosting.container_check.observation import (
    Condition,
    Exchange,
    Image,
    Observation,
    Run,
    Silence,
)
from airflow_sm_hosting.container_check.report import Result, Row
from airflow_sm_hosting.container_check.wanted import SampleRequest, Wanted

#: Use of the memory from which on there is a warning.
NEARLY_FULL = 0.9
#: The most characters of an answer in a row.
MAX_SHOWN = 300
_SHELLS = ("sh", "bash", "ash", "dash")


def judge(wanted: Wanted, observed: Observation) -> tuple[Row, ...]:
    """Return the rows of a report.

    :param wanted: What is checked.
    :param observed: What was observed.
    """
    run = observed.run(Condition.PLAIN)
    rows = [
        _image(observed),
        _platform(wanted, observed.image),
        _manifest(observed),
        *_size(wanted, observed.image),
        *_user(observed.image),
        _model_data(wanted, observed, run),
        _serve(observed.image, run),
        _port(run),
        _ping(wanted, run),
        *_multi_model(wanted, observed.image, run),
        *_invocations(wanted, run),
        _memory(wanted, run),
        _stop(wanted, observed.image, run),
        _bind_to_port(wanted, observed),
        *_conditions(wanted, observed),
    ]
    return tuple(rows)


# The image


def _image(observed: Observation) -> Row:
    if observed.image is None:
        return Row(
            "image",
            Result.FAILED,
            observed.image_error or "there is no such image",
            "Check the name and the tag, log in to the registry, or build the image first.",
        )
    return Row("image", Result.OK, observed.image.reference)


def _platform(wanted: Wanted, image: Image | None) -> Row:
    check, kind = "platform", wanted.instance_type or "instance types without an Arm processor"
    if image is None:
        return Row(check, Result.SKIPPED, "there is no image")
    if image.platform == wanted.platform:
        return Row(check, Result.OK, f"{image.platform}, as {kind}")
    other = "an instance type with that platform" if wanted.instance_type else "a Graviton instance type"
    return Row(
        check,
        Result.FAILED,
        f"the image is for {image.platform}; {kind} run{'s' if wanted.instance_type else ''} {wanted.platform}",
        f"Build it with platform={wanted.platform} (docker build --platform), or choose {other}. Otherwise the container ends with "
        "'exec format error'.",
    )


def _manifest(observed: Observation) -> Row:
    found = observed.manifest
    if found is None:
        return Row("manifest", Result.SKIPPED, "the image is not taken from a registry")
    if not found.media_type:
        return Row("manifest", Result.SKIPPED, f"the registry was not read: {found.problem}")
    if found.problem:
        return Row(
            "manifest",
            Result.FAILED if found.is_certain else Result.WARNING,
            found.problem,
            "Push it with BuildImageOperator, which converts the manifest, or build it with --provenance=false and "
            "--output type=image,oci-mediatypes=false.",
        )
    return Row("manifest", Result.OK, found.media_type)


def _size(wanted: Wanted, image: Image | None) -> Iterator[Row]:
    if image is None or not wanted.is_serverless:
        return
    seen = f"{image.size / 1024**3:.1f} GiB"
    if image.size > MAX_SERVERLESS_IMAGE:
        yield Row(
            "image size",
            Result.FAILED,
            f"{seen}; a serverless endpoint takes {MAX_SERVERLESS_IMAGE // 1024**3} GiB at most",
            "Use a smaller base image, leave out what is not needed to serve, or deploy to instances.",
        )
    else:
        yield Row("image size", Result.OK, seen)


def _user(image: Image | None) -> Iterator[Row]:
    if image and image.user.partition(":")[0] not in ("", "0", "root"):
        yield Row(
            "user",
            Result.WARNING,
            f"the image's user is {image.user}; SageMaker expects containers to run as root",
            "Leave USER out of the Dockerfile, unless everything that the container reads and writes allows this user.",
        )


# The model data

#: What a container says when it writes to the folder of the model.
_WRITES_TO_MODEL = re.compile(rf"Read-only file system.*{MODEL_PATH}|{MODEL_PATH}.*Read-only file system")


def _model_data(wanted: Wanted, observed: Observation, run: Run) -> Row:
    check = "model data"
    if observed.model_error:
        return Row(
            check,
            Result.FAILED,
            observed.model_error,
            "Pack the artifact again: a .tar.gz with the model's files at its root.",
        )
    if not wanted.has_model_data:
        return Row(
            check,
            Result.SKIPPED,
            f"there is no model data: {MODEL_PATH} is what the image has there",
            "Give the artifact, if the container reads one.",
        )
    if run.not_possible:
        return Row(check, Result.SKIPPED, run.not_possible)
    if any(_WRITES_TO_MODEL.search(line) for line in run.log):
        return Row(
            check,
            Result.FAILED,
            f"the container writes to {MODEL_PATH}, to which it has read-only access",
            "Write below /tmp.",
            run.log,
        )
    return Row(check, Result.OK, f"unpacked at {MODEL_PATH}, read-only")


# A container of the image


def _why_not_running(run: Run) -> str:
    """Return why a container does not run so far that it answers /ping; empty if it does."""
    if run.not_possible or run.start_error:
        return run.not_possible or "the container was not started"
    if run.ended and run.ready_seconds is None:
        return "the container ended before it answered /ping"
    return ""


def _why_not_ready(run: Run) -> str:
    """Return why requests to a container make no sense; empty if they do."""
    return _why_not_running(run) or (
        "the container does not answer /ping with 200" if run.ready_seconds is None else ""
    )


def _serve(image: Image | None, run: Run) -> Row:
    check = "serve"
    if run.not_possible:
        return Row(check, Result.SKIPPED, run.not_possible)
    if problem := _end_of(run):
        return Row(check, Result.FAILED, *problem, run.log)
    if image and any(part.rpartition("/")[2].startswith("tini") for part in image.entrypoint[:1]):
        return Row(
            check,
            Result.WARNING,
            "it runs, but its entry point is tini, which SageMaker's documentation excludes",
            "Start the server without tini, and handle SIGTERM in it.",
        )
    return Row(check, Result.OK, f"it runs with the argument {COMMAND!r}")


def _end_of(run: Run) -> tuple[str, str] | None:
    """Return how a container failed to start or ended before it was ready, and the remedy; None if it did neither."""
    if run.start_error:
        known = diagnose([run.start_error])
        return (
            f"it cannot be started: {known.cause if known else run.start_error}",
            known.remedy if known else "Correct ENTRYPOINT in the Dockerfile.",
        )
    if run.ended is None or run.ready_seconds is not None:
        return None
    if run.was_out_of_memory:
        return (
            f"it ended with exit code {run.ended.exit_code}: it used all of its memory",
            "See the row 'memory'.",
        )
    seen = f"it ended with exit code {run.ended.exit_code} before it answered /ping"
    known = diagnose(run.log)
    if known:
        return f"{seen}: {known.cause}", known.remedy
    if run.ended.exit_code == 0:
        return seen, "Keep the server in the foreground: the container ends with its first process."
    return seen, "The last lines of its log say why."


def _port(run: Run) -> Row:
    check = "port"
    if why := _why_not_running(run):
        return Row(check, Result.SKIPPED, why)
    where = _listening_elsewhere(run)
    if run.ready_seconds is not None or (where is None and run.sockets is not None):
        shown = [str(one) for one in run.sockets or () if one.port == run.port and not one.is_loopback]
        return Row(check, Result.OK, f"it listens on {', '.join(shown) or f'port {run.port}'}")
    if where is None:
        return Row(
            check, Result.SKIPPED, "where the container listens cannot be read: its image has no 'cat'"
        )
    return Row(check, Result.FAILED, *where)


def _listening_elsewhere(run: Run) -> tuple[str, str] | None:
    """Return where a container listens in place of its port on all interfaces, and the remedy; None if it does, or that is not known."""
    if run.sockets is None or any(one.port == run.port and not one.is_loopback for one in run.sockets):
        return None
    if not run.sockets:
        return "it listens on no port", f"Start a server on 0.0.0.0:{run.port}."
    if loopback := [str(one) for one in run.sockets if one.port == run.port]:
        return (
            f"it listens on {', '.join(loopback)} only, which nothing outside of the container reaches",
            f"Listen on 0.0.0.0:{run.port}.",
        )
    others = ", ".join(map(str, run.sockets))
    return f"it listens on {others}, not on port {run.port}", f"Listen on 0.0.0.0:{run.port}."


def _ping(wanted: Wanted, run: Run) -> Row:
    check = "ping"
    if why := _why_not_running(run):
        return Row(check, Result.SKIPPED, why)
    if run.ready_seconds is None:
        return Row(check, Result.FAILED, *_why_no_ping(wanted, run), run.log)
    for ping in run.later_pings:
        if ping.status != 200:
            return Row(
                check,
                Result.FAILED,
                f"it answered 200 after {run.ready_seconds:.1f} s, then {_outcome(ping)}",
                "Answer each GET /ping with 200 once the model is loaded, and within 2 s, also while there are requests.",
                run.log,
            )
    slowest = max((ping.seconds for ping in run.later_pings), default=0.0)
    return Row(
        check, Result.OK, f"200 after {run.ready_seconds:.1f} s; the slowest ping took {slowest:.2f} s"
    )


def _why_no_ping(wanted: Wanted, run: Run) -> tuple[str, str]:
    """Return why a container that runs never answered /ping with 200, and the remedy."""
    within = f"within {wanted.startup_seconds:g} s"
    longer = "If it needs longer to start, raise the startup timeout, here and in the endpoint config."
    last = run.last_ping
    if last is None or last.silence is Silence.UNREACHABLE or last.silence is Silence.CLOSED:
        if elsewhere := _listening_elsewhere(run):
            # A server may be about to start where nothing listens yet, not where another one does.
            remedy = "See the row 'port'." if run.sockets else f"{elsewhere[1]} {longer}"
            return f"GET /ping did not reach it {within}: {elsewhere[0]}", remedy
        return f"GET /ping was not answered {within}: the connection is closed", f"Look at its log. {longer}"
    if last.silence is Silence.TIMEOUT:
        return (
            f"no answer to GET /ping within {PING_SECONDS:g} s, for {wanted.startup_seconds:g} s",
            f"Answer /ping at once, from a thread of its own: it must not wait for the model. {longer}",
        )
    if last.silence is Silence.NOT_HTTP:
        return "its answer to GET /ping is no HTTP", "Serve plain HTTP, not TLS or another protocol."
    seen = f"{_outcome(last)} to GET /ping, for {wanted.startup_seconds:g} s"
    status = last.status or 0
    if status in (404, 405):
        return seen, "Add the route GET /ping."
    if 300 <= status < 400:
        where = f" (to {last.location})" if last.location else ""
        return f"{seen}{where}", "Answer at /ping itself: a redirect is no 200."
    if status in (401, 403):
        return seen, "Let /ping be asked without credentials: SageMaker sends none."
    if status >= 500:
        known = diagnose(run.log)
        found = f" ({known.cause}: {known.remedy})" if known else ""
        return seen, f"Its log says why it is not healthy{found}. {longer}"
    return seen, "Answer with 200 when the model is loaded; any other status counts as unhealthy."


def _outcome(exchange: Exchange) -> str:
    """Return what came back, in words."""
    match exchange.silence:
        case Silence.TIMEOUT:
            return f"no answer within {exchange.seconds:.1f} s"
        case Silence.UNREACHABLE:
            return "no connection"
        case Silence.CLOSED:
            return "a closed connection and no answer"
        case Silence.NOT_HTTP:
            return "an answer that is no HTTP"
        case _:
            return str(exchange.status)


# Requests


def _invocations(wanted: Wanted, run: Run) -> Iterator[Row]:
    if not wanted.requests:
        yield Row(
            "invocations",
            Result.SKIPPED,
            "no request was given",
            "Give a request that a client would send, and the answer that you expect.",
        )
        return
    for index, request in enumerate(wanted.requests):
        check = "invocations" if len(wanted.requests) == 1 else f"invocations: {request.name}"
        if why := _why_not_ready(run):
            yield Row(check, Result.SKIPPED, why)
        elif index >= len(run.answers):
            yield Row(check, Result.SKIPPED, "the container has ended, or no model was loaded")
        else:
            yield _invocation(check, wanted, request, run.answers[index], run)


def _invocation(check: str, wanted: Wanted, request: SampleRequest, answer: Exchange, run: Run) -> Row:
    if problem := _problem_of(wanted, request, answer, run):
        return Row(check, Result.FAILED, *problem, run.log)
    seen = f"{answer.status}, {len(answer.body)} bytes of {answer.content_type or 'no content type'} in {answer.seconds:.2f} s"
    if not answer.content_type and answer.body:
        return Row(
            check,
            Result.WARNING,
            seen,
            "Send a Content-Type header: InvokeEndpoint hands it to the client.",
        )
    if len(answer.body) > MAX_BODY_IN_MODEL:
        return Row(
            check,
            Result.WARNING,
            f"{seen}; botocore's model has {MAX_BODY_IN_MODEL} bytes at most for a body",
            "Answer with less, or use an asynchronous endpoint.",
        )
    return Row(check, Result.OK, seen)


def _problem_of(wanted: Wanted, request: SampleRequest, answer: Exchange, run: Run) -> tuple[str, str] | None:
    """Return what is wrong with an answer, and the remedy."""
    asked = f"{answer.method} {answer.path}"
    if answer.silence is Silence.TIMEOUT:
        return (
            f"no answer to {asked} within {wanted.invocation_seconds:g} s",
            "Answer faster, with a smaller model or more workers; for longer work use an asynchronous endpoint.",
        )
    if answer.silence is not None:
        known = diagnose(run.log)
        ended = ", and the container ended" if run.ended else ""
        return (
            f"{_outcome(answer)} to {asked}{ended}" + (f": {known.cause}" if known else ""),
            known.remedy
            if known
            else "See the row 'memory'."
            if run.was_out_of_memory
            else "Look at its log: the server, or a worker of it, ended during the request.",
        )
    if answer.is_too_large:
        return (
            f"its answer has more than {wanted.max_response} bytes",
            "Answer with less, or use an asynchronous endpoint, which puts answers into S3.",
        )
    if not answer.is_success:
        return f"{_outcome(answer)} to {asked}: {_shown(answer.body)}", _remedy_of_status(request, answer)
    if (expected := _mismatch(request, answer.body)) is not None:
        return (
            f"it answered {_shown(answer.body)}; expected: {expected}",
            "Correct the model, or the expected answer.",
        )
    return None


def _remedy_of_status(request: SampleRequest, answer: Exchange) -> str:
    match answer.status:
        case 404 | 405:
            return f"Add the route {answer.method} {answer.path}."
        case 415 | 406:
            return (
                f"Take requests of {request.content_type} and give what Accept names, or correct the request."
            )
        case status if status is not None and 300 <= status < 400:
            return "Answer at this path itself: a redirect is an error to the client."
        case status if status is not None and 400 <= status < 500:
            return "Correct the request, or what the container takes."
        case _:
            return "The last lines of its log say what failed."


def _mismatch(request: SampleRequest, body: bytes) -> str | None:
    """Return the expected answer in words, if the answer is another one."""
    if request.expect is None:
        return None
    text = body.decode(errors="replace")
    if isinstance(request.expect, str):
        return None if request.expect in text else f"an answer that contains {request.expect!r}"
    try:
        if json.loads(text) == request.expect:
            return None
    except ValueError:
        pass
    return f"the JSON {json.dumps(request.expect)[:MAX_SHOWN]}"


def _shown(body: bytes) -> str:
    text = body[: 4 * MAX_SHOWN].decode(errors="replace")
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…")


def _multi_model(wanted: Wanted, image: Image | None, run: Run) -> Iterator[Row]:
    check = "multi-model"
    has_label = image is not None and image.labels.get(MULTI_MODEL_LABEL) == "true"
    if not wanted.multi_model:
        if has_label:
            yield Row(
                check,
                Result.SKIPPED,
                f"the image has the label {MULTI_MODEL_LABEL}=true",
                "Ask for the check of multi-model containers.",
            )
        return
    if image is not None and not has_label:
        yield Row(
            check,
            Result.FAILED,
            f"the image has no label {MULTI_MODEL_LABEL}=true, without which CreateModel refuses Mode 'MultiModel'",
            f"Add LABEL {MULTI_MODEL_LABEL}=true to the Dockerfile.",
        )
        return
    if why := _why_not_ready(run):
        yield Row(check, Result.SKIPPED, why)
        return
    calls = [*run.model_calls, *([run.unloading] if run.unloading else [])]
    wrong = next((call for call in calls if call.status != 200), None)
    if wrong is None and calls:
        yield Row(check, Result.OK, "models are listed, loaded, described and unloaded")
        return
    seen = f"{_outcome(wrong)} to {wrong.method} {wrong.path}" if wrong else "the models were not asked for"
    yield Row(
        check,
        Result.FAILED,
        f"{seen}; expected: 200" + (f", body {_shown(wrong.body)}" if wrong and wrong.body else ""),
        "Serve GET and POST /models, GET and DELETE /models/{name} and POST /models/{name}/invoke "
        "(sagemaker/latest/dg/mms-container-apis.html).",
        run.log,
    )


# Memory, end, and other conditions


def _memory(wanted: Wanted, run: Run) -> Row:
    check, limit = "memory", wanted.memory_limit_mb
    if run.not_possible or run.start_error:
        return Row(check, Result.SKIPPED, _why_not_running(run))
    if run.was_out_of_memory:
        return Row(
            check,
            Result.FAILED,
            f"a process was killed: it wanted more than {limit} MB"
            if limit
            else "a process was killed for want of memory",
            "Choose an instance type (or a serverless memory size) with more memory, start fewer workers, or load a smaller model.",
            run.log,
        )
    used = "" if run.memory_mb is None else f"{run.memory_mb:.0f} MB used"
    if limit is None:
        why = (
            f"the memory of {wanted.instance_type} is not known"
            if wanted.instance_type
            else "no instance type is given"
        )
        return Row(
            check,
            Result.SKIPPED,
            f"{used}; {why}" if used else why,
            "Give the instance type, or the memory in MB.",
        )
    seen = f"{used} of {limit} MB" if used else f"no process was killed with {limit} MB"
    if run.memory_mb is not None and run.memory_mb > NEARLY_FULL * limit:
        return Row(check, Result.WARNING, seen, "Choose more memory: requests at the same time need more.")
    return Row(check, Result.OK, seen)


def _stop(wanted: Wanted, image: Image | None, run: Run) -> Row:
    check = "SIGTERM"
    if run.stopped is None:
        return Row(check, Result.SKIPPED, _why_not_ready(run) or "the container had ended before")
    if not run.stopped.was_killed:
        return Row(check, Result.OK, f"it ended {run.stopped.seconds:.1f} s after SIGTERM")
    return Row(
        check,
        Result.FAILED,
        f"it did not end within {wanted.stop_seconds:g} s of SIGTERM, and was killed",
        _remedy_of_stop(image.entrypoint if image else ()),
        run.log,
    )


def _remedy_of_stop(entrypoint: Sequence[str]) -> str:
    """Return what makes a container end at SIGTERM, by its entry point."""
    program = entrypoint[0].rpartition("/")[2] if entrypoint else ""
    if program in _SHELLS and "-c" in entrypoint[1:2]:
        return (
            'The ENTRYPOINT is in shell form: the shell gets the signal, and does not pass it on. Write ENTRYPOINT ["program", "argument"], or '
            "begin the command with exec."
        )
    if program in _SHELLS or program.endswith(".sh"):
        return "The entry point is a shell script, which does not pass the signal on: start the server in it with exec."
    return (
        "Handle SIGTERM in the first process: the kernel ignores it there unless a handler is set (in Python: "
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)))."
    )


def _bind_to_port(wanted: Wanted, observed: Observation) -> Row:
    check, image = "bind-to-port", observed.image
    if image is None:
        return Row(check, Result.SKIPPED, "there is no image")
    if image.labels.get(BIND_LABEL) != "true":
        return Row(
            check,
            Result.SKIPPED,
            f"the image has no label {BIND_LABEL}=true",
            f"Only for a model of several containers: listen on the port in {BIND_VARIABLE}, and add the label.",
        )
    run = observed.run(Condition.OTHER_PORT)
    if run.not_possible:
        return Row(check, Result.SKIPPED, _why_not_ready(observed.run(Condition.PLAIN)) or run.not_possible)
    if run.ready_seconds is not None:
        return Row(check, Result.OK, f"it answers on the port in {BIND_VARIABLE} ({run.port})")
    elsewhere = None if _why_not_running(run) else _listening_elsewhere(run)
    problem = (elsewhere or _end_of(run) or _why_no_ping(wanted, run))[0]
    return Row(
        check,
        Result.FAILED,
        f"the label says that it listens on the port in {BIND_VARIABLE} ({run.port}), but {problem}",
        f"Listen on the port in {BIND_VARIABLE}, and on {PORT} where that is not set; or remove the label.",
        run.log,
    )


#: The other conditions: the name of the row, what they are, and what to do.
_OTHERS = {
    Condition.NETWORK_ISOLATION: (
        "without a network",
        "Put what it downloads into the image or the artifact; with EnableNetworkIsolation a container reaches nothing.",
    ),
    Condition.READ_ONLY: ("with a read-only root file system", "Write below /tmp only."),
    Condition.NON_ROOT: (
        "as another user than root",
        "Let every user read the program and the model, and write below /tmp only.",
    ),
}


def _conditions(wanted: Wanted, observed: Observation) -> Iterator[Row]:
    asked = {
        Condition.NETWORK_ISOLATION: wanted.network_isolation,
        Condition.READ_ONLY: wanted.read_only or wanted.is_serverless,
        Condition.NON_ROOT: wanted.non_root,
    }
    for condition, (words, remedy) in _OTHERS.items():
        if not asked[condition]:
            continue
        # AWS says no more than that a serverless endpoint's file system may be read-only (assumed).
        is_sure = condition is not Condition.READ_ONLY or wanted.read_only
        yield _condition(wanted, observed, condition, words, remedy, is_sure=is_sure)


def _condition(
    wanted: Wanted, observed: Observation, condition: Condition, words: str, remedy: str, *, is_sure: bool
) -> Row:
    check, run = str(condition), observed.run(condition)
    if run.not_possible:
        return Row(check, Result.SKIPPED, _why_not_ready(observed.run(Condition.PLAIN)) or run.not_possible)
    failed = Result.FAILED if is_sure else Result.WARNING
    if problem := _end_of(run):
        return Row(check, failed, f"{words} {problem[0]}", remedy, run.log)
    if run.ready_seconds is None:
        return Row(check, failed, f"{words}: {_why_no_ping(wanted, run)[0]}", remedy, run.log)
    for request, answer in zip(wanted.requests, run.answers, strict=False):
        if problem := _problem_of(wanted, request, answer, run):
            return Row(check, failed, f"{words}: {problem[0]}", remedy, run.log)
    for call in (*run.model_calls, *run.later_pings):
        if call.status is None or not 200 <= call.status < 300:
            return Row(
                check, failed, f"{words}: {_outcome(call)} to {call.method} {call.path}", remedy, run.log
            )
    if run.ended is not None or (not wanted.multi_model and len(run.answers) < len(wanted.requests)):
        return Row(check, failed, f"{words} it ended before it had answered", remedy, run.log)
    return Row(check, Result.OK, f"{words} it answers, too")
