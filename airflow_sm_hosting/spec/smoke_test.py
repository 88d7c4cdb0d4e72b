"""A smoke test: the requests to an endpoint, how they are sent, and the expected answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_integer,
    check_name,
    check_one_of,
    check_text,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.expectation import Expectation, Json, check_expectation, expectation
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rendered import as_integer, as_seconds, as_string, is_absent
from airflow_sm_hosting.spec.s3_location import S3Location
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedInt, TemplatedSeconds, TemplatedStr

__all__ = ["Json", "SmokeTest"]

#: How a request is sent; ``auto`` is as the endpoint is.
Kind: TypeAlias = Literal["auto", "real-time", "streamed", "asynchronous"]
REAL_TIME, STREAMED, ASYNCHRONOUS = "real-time", "streamed", "asynchronous"
KINDS = ("auto", REAL_TIME, STREAMED, ASYNCHRONOUS)
#: The operation of each kind.
OPERATIONS = {
    REAL_TIME: "InvokeEndpoint",
    STREAMED: "InvokeEndpointWithResponseStream",
    ASYNCHRONOUS: "InvokeEndpointAsync",
}

_NOW, _ANY = (REAL_TIME, STREAMED), (REAL_TIME, STREAMED, ASYNCHRONOUS)
#: The parameters that are members of a request: the member, and the kinds of request that have it (botocore, sagemaker-runtime).
#: A test compares them with botocore's model.
REQUEST_MEMBERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "content_type": ("ContentType", _ANY),
    "accept": ("Accept", _ANY),
    "custom_attributes": ("CustomAttributes", _ANY),
    "inference_id": ("InferenceId", _ANY),
    "target_variant": ("TargetVariant", _NOW),
    "target_model": ("TargetModel", (REAL_TIME,)),
    "target_container_hostname": ("TargetContainerHostname", _NOW),
    "inference_component_name": ("InferenceComponentName", _NOW),
    "session": ("SessionId", _NOW),
    "prefix_aware_id": ("PrefixAwareId", _NOW),
    "enable_explanations": ("EnableExplanations", (REAL_TIME,)),
    "input_location": ("InputLocation", (ASYNCHRONOUS,)),
    "request_ttl_seconds": ("RequestTTLSeconds", (ASYNCHRONOUS,)),
    "invocation_timeout_seconds": ("InvocationTimeoutSeconds", (ASYNCHRONOUS,)),
    "s3_output_path_extension": ("S3OutputPathExtension", (ASYNCHRONOUS,)),
    "filename": ("Filename", (ASYNCHRONOUS,)),
}
#: The other parameters, and the kinds of request that they are for.
_OTHERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "body": ("Body", _ANY),
    "requests_file": ("RequestsFile", _ANY),
    "input_prefix": ("InputPrefix", (ASYNCHRONOUS,)),
    "expect": ("Expect", _ANY),
    "kind": ("Kind", _ANY),
    "wait_for_capacity": ("WaitForCapacity", _ANY),
    "timeout": ("Timeout", _ANY),
    "poll_interval": ("PollInterval", _ANY),
}
#: The member of each parameter.
MEMBERS = {name: member for name, (member, _) in (*REQUEST_MEMBERS.items(), *_OTHERS.items())}
#: The kinds of request of each parameter that is not for all.
_LIMITED = {name: kinds for name, (_, kinds) in (*REQUEST_MEMBERS.items(), *_OTHERS.items()) if kinds != _ANY}
#: What opens a session (InvokeEndpoint, SessionId). A stream has none (InvokeEndpointWithResponseStream, the pattern of SessionId).
NEW_SESSION = "NEW_SESSION"

#: Patterns and lengths of botocore's model.
_TEXTS: Mapping[str, tuple[str, int, str]] = {
    "custom_attributes": (r"[\x00-\x7f]*", 1024, "1024 ASCII characters at most"),
    "inference_id": (r"[!-~][ -~]*", 64, "1 to 64 printable characters, the first no space"),
    "target_model": (r"[!-~][ -~]*", 1024, "1 to 1024 printable characters, the first no space"),
    "session": (
        r"[a-zA-Z0-9](-*[a-zA-Z0-9])*|NEW_SESSION",
        256,
        "'NEW_SESSION', or an id of 256 letters, digits and hyphens at most",
    ),
    "prefix_aware_id": (r"[!-~][ -~]*", 64, "1 to 64 printable characters, the first no space"),
    "enable_explanations": (r".+", 64, "a JMESPath expression of 1 to 64 characters, e.g. '`true`'"),
    "input_location": (r"(https|s3)://[^/]+/?.*", 1024, "the s3:// or https:// URL of an object"),
    "s3_output_path_extension": (
        r"(?!s3:|https:)[a-zA-Z0-9!_.*'()/-]+",
        512,
        "a part of a key: 1 to 512 letters, digits and ! _ . * ' ( ) / -",
    ),
    "filename": (
        r"(?!.*\..*\.)[a-zA-Z0-9][a-zA-Z0-9_.-]*",
        32,
        "a file name of 1 to 32 letters, digits, '_', '-' and one '.' at most",
    ),
}
_NAMES = ("target_variant", "target_container_hostname", "inference_component_name")
_NUMBERS = {"request_ttl_seconds": (60, 21_600), "invocation_timeout_seconds": (1, 3600)}
#: The longest that a request of an asynchronous endpoint may wait and take, together (InvokeEndpointAsync), is a day less.
MOST_SECONDS = 24 * 3600
DEFAULT_TIMEOUT, DEFAULT_POLL_INTERVAL, SHORTEST_POLL_INTERVAL = 1800, 10, 0.1
_SECONDS = {
    "wait_for_capacity": (0.0, MOST_SECONDS),
    "timeout": (1.0, MOST_SECONDS),
    "poll_interval": (SHORTEST_POLL_INTERVAL, 3600.0),
}
#: The formats of files with requests, by the end of their names.
ROW_FORMATS = {".jsonl": "JSON Lines", ".jsonlines": "JSON Lines", ".ndjson": "JSON Lines", ".csv": "CSV"}


class SmokeTest(Reference):
    """Requests to an endpoint after a deployment, and their expected answers.

    Exactly one of ``body``, ``requests_file`` and ``input_location`` is given.

    :param body: The request: a string as it is, anything else as JSON; 6291456 bytes at most, of an asynchronous endpoint 128000, or any
        number with ``input_prefix``. (templated)
    :param content_type: MIME type of the request (default: ``application/json``; ``text/csv`` for the rows of a CSV file). (templated)
    :param accept: MIME type wanted of the answer (default: the container's). (templated)
    :param target_variant: The variant that answers (default: one by weight). (templated)
    :param expect: The expected answer: a string that it must contain, an :class:`~airflow_sm_hosting.Expectation`, or any other value that
        it must equal as JSON (default: any answer). (templated)
    :param kind: ``"auto"`` (default) sends real-time requests, and asynchronous ones to an asynchronous endpoint; ``"streamed"`` reads the
        answer as a stream; ``"real-time"``, ``"asynchronous"``. (templated)
    :param requests_file: A file of requests, one a row: JSON Lines (``.jsonl``, ``.ndjson``) or CSV (``.csv``); a relative path starts at
        the folder of the DAG file. (templated)
    :param inference_component_name: The inference component or adapter that answers. (templated)
    :param target_model: The model of a multi-model endpoint that answers, as a key below its prefix. (templated)
    :param target_container_hostname: The container that answers, where containers are invoked directly. (templated)
    :param session: Id of a session, or ``"NEW_SESSION"``, which opens one. (templated)
    :param custom_attributes: Sent to the container as they are, 1024 ASCII characters at most. (templated)
    :param inference_id: Id of the request in captured data, 1 to 64 characters. (templated)
    :param enable_explanations: A JMESPath expression that says which records are explained, e.g. ``"`true`"``. (templated)
    :param prefix_aware_id: Groups requests for prefix-aware routing, 1 to 64 characters. (templated)
    :param input_location: S3 URL of the input, of an asynchronous endpoint. (templated)
    :param input_prefix: ``s3://`` URL of the prefix that the body is uploaded to, and deleted from afterwards, of an asynchronous endpoint
        (default: the body is sent in the request). (templated)
    :param request_ttl_seconds: Seconds that an asynchronous request may wait, 60 to 21600 (default: 21600). (templated)
    :param invocation_timeout_seconds: Seconds that the model may take for an asynchronous request, 1 to 3600 (default: 900). (templated)
    :param s3_output_path_extension: Appended to the output path of an asynchronous endpoint. (templated)
    :param filename: Name of the output of an asynchronous request (default: a new one). (templated)
    :param wait_for_capacity: Seconds, or a timedelta, that a request is repeated for while a component is scaled to zero, or a model of a
        multi-model endpoint is loaded; an asynchronous answer is awaited for as much longer (default: 0, an error at once). (templated)
    :param timeout: Seconds, or a timedelta, until an asynchronous answer must be there, 1 to 86400 (default: 1800). (templated)
    :param poll_interval: Seconds, or a timedelta, between two looks for it, 0.1 to 3600 (default: 10). (templated)
    :raises InvalidSpecError: When a literal value can never work, or parameters do not go together.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
    """

    def __init__(
        self,
        *,
        body: Json | RenderedLater | None = None,
        content_type: TemplatedStr | None = "application/json",
        accept: TemplatedStr | None = None,
        target_variant: TemplatedStr | None = None,
        expect: Expectation | Json | RenderedLater | None = None,
        kind: Kind | TemplatedStr = "auto",
        requests_file: TemplatedStr | os.PathLike[str] | None = None,
        inference_component_name: TemplatedStr | None = None,
        target_model: TemplatedStr | None = None,
        target_container_hostname: TemplatedStr | None = None,
        session: TemplatedStr | None = None,
        custom_attributes: TemplatedStr | None = None,
        inference_id: TemplatedStr | None = None,
        enable_explanations: TemplatedStr | None = None,
        prefix_aware_id: TemplatedStr | None = None,
        input_location: TemplatedStr | None = None,
        input_prefix: TemplatedStr | None = None,
        request_ttl_seconds: TemplatedInt | None = None,
        invocation_timeout_seconds: TemplatedInt | None = None,
        s3_output_path_extension: TemplatedStr | None = None,
        filename: TemplatedStr | None = None,
        wait_for_capacity: TemplatedSeconds | float | None = None,
        timeout: TemplatedSeconds | float | None = None,
        poll_interval: TemplatedSeconds | float | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name in MEMBERS and value is not None}
        if isinstance(body, bytes):
            raise invalid("SmokeTest: body", body, "a string, or a value that is sent as JSON")
        check_test("SmokeTest: ", given)
        if kind == "auto":
            del given["kind"]
        super().__init__("SmokeTest", **{MEMBERS[name]: _plain(value) for name, value in given.items()})


def _plain(value: Any) -> Any:
    """Return a duration in seconds, and a path as a string: neither is JSON."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def check_test(prefix: str, given: Mapping[str, Any]) -> None:
    """Check the parameters of a smoke test as far as they are literal.

    :param prefix: What a parameter's name is preceded by in a message.
    :param given: The parameters that are given.
    :raises InvalidSpecError: With all that can never work.
    """
    problems = Problems()
    for name, value in given.items():
        with problems:
            _check_parameter(f"{prefix}{name}", name, value)
    with problems:
        sources = [name for name in ("body", "requests_file", "input_location") if name in given]
        if len(sources) != 1:
            raise InvalidSpecError(
                f"{prefix}{' and '.join(sources) or 'none'} of body, requests_file and input_location "
                f"{'are' if sources else 'is'} given; allowed: exactly one of them."
            )
    with problems:
        if "requests_file" not in given:
            check_expectation(f"{prefix}expect", given.get("expect"))
    with problems:
        check_kind(prefix, given)
    problems.tell()


def _check_parameter(where: str, name: str, value: Any) -> None:
    if name in _NAMES:
        check_name(where, value)
    elif name in _TEXTS:
        pattern, most, allowed = _TEXTS[name]
        check_text(where, value, pattern=pattern, max_length=most, allowed=allowed)
    elif name in _NUMBERS:
        check_integer(where, value, *_NUMBERS[name])
    elif name in _SECONDS:
        if not is_rendered_later(value):
            as_seconds(where, value, *_SECONDS[name])
    elif name == "kind":
        check_one_of(where, value, KINDS)
    elif name == "input_prefix":
        check_input_prefix(where, value)
    elif name == "requests_file":
        row_format(where, value)


def check_input_prefix(where: str, value: Any) -> None:
    """Check the ``s3://`` URL of a prefix."""
    if is_rendered_later(value):
        return
    if not (isinstance(value, str) and value.startswith("s3://") and S3Location.parse(value)):
        raise invalid(where, value, "the s3:// URL of a prefix, e.g. 's3://my-bucket/smoke-tests/'")


def row_format(where: str, path: Any) -> str:
    """Return the format of a file of requests, by the end of its name.

    :raises InvalidSpecError: For another name.
    """
    if is_rendered_later(path):
        return ""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
    found = next((kind for end, kind in ROW_FORMATS.items() if text.lower().endswith(end)), None)
    if found is None:
        raise invalid(
            where, text or path, f"the path of a file whose name ends with {', '.join(ROW_FORMATS)}"
        )
    return found


def check_kind(prefix: str, given: Mapping[str, Any]) -> None:
    """Check that a kind of request has all parameters that are given.

    :raises InvalidSpecError: When no kind has, or the one that is given.
    """
    kind = given.get("kind") or "auto"
    if is_rendered_later(kind):
        return
    only = {name: _LIMITED[name] for name in given if name in _LIMITED}
    if not only and kind in ("auto", REAL_TIME):
        return  # as most are
    for name, kinds in only.items():
        if kind != "auto" and kind not in kinds:
            raise InvalidSpecError(
                f"{prefix}{name} is given for a request of kind {kind!r}; allowed: for {_listed(kinds)}."
            )
    if not set(_ANY).intersection(*map(set, only.values())):
        queued = [name for name, kinds in only.items() if kinds == (ASYNCHRONOUS,)]
        others = [name for name in only if name not in queued]
        raise InvalidSpecError(
            f"{prefix}{', '.join(queued)} and {', '.join(others)} are given: an asynchronous request has "
            f"no {', '.join(others)}; allowed: the parameters of one kind of request."
        )
    if kind == STREAMED and given.get("session") == NEW_SESSION:
        raise InvalidSpecError(
            f"{prefix}session is 'NEW_SESSION', which a streamed request cannot open; allowed: the id of a session."
        )
    asynchronous = kind == ASYNCHRONOUS or (ASYNCHRONOUS,) in only.values()
    if asynchronous and kind_of(given.get("expect")) and "MaxLatencyMs" in given["expect"]:
        raise InvalidSpecError(
            f"{prefix}expect has max_latency_ms, and an asynchronous request is answered after it was accepted; allowed: for real-time "
            "and streamed requests."
        )


def _listed(kinds: tuple[str, ...]) -> str:
    return " and ".join(f"{kind!r}" for kind in kinds)


def rendered_test(where: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a rendered smoke test with their types; what rendered to nothing is absent.

    :param where: The field, for messages.
    :param members: The members, of a :class:`SmokeTest` or of an operator's parameters.
    :raises InvalidSpecError: For a value that can never work.
    """
    problems, ready = Problems(), {}
    for name, member in MEMBERS.items():
        value = members.get(member)
        if value is None or (name not in ("body", "expect") and is_absent(value)):
            continue
        with problems:
            ready[name] = _typed(f"{where}{name}", name, value)
    problems.tell()
    check_test(where, ready)
    if "expect" in ready:
        ready["expect"] = expectation(f"{where}expect", ready["expect"])
    return {MEMBERS[name]: value for name, value in ready.items()}


def _typed(where: str, name: str, value: Any) -> Any:
    if name in _SECONDS:
        return as_seconds(where, value, *_SECONDS[name])
    if name in _NUMBERS:
        return as_integer(where, value, *_NUMBERS[name])
    if name in ("body", "expect"):
        return value
    # With native rendering, an id of digits became a number.
    return as_string(where, str(value) if type(value) is int else value)


#: The members of a smoke test by which only asynchronous can be meant.
_ASYNCHRONOUS_ONLY = {
    *(member for member, kinds in REQUEST_MEMBERS.values() if kinds == (ASYNCHRONOUS,)),
    "InputPrefix",
}


def known_kind(test: Mapping[str, Any]) -> str | None:
    """Return the kind of request that a smoke test says, by itself or by a parameter of one kind alone; None as the endpoint is.

    :param test: The members of the smoke test.
    """
    kind: str = test.get("Kind", "auto")
    if kind != "auto":
        return kind
    return ASYNCHRONOUS if _ASYNCHRONOUS_ONLY & test.keys() else None
