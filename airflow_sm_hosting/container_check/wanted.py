"""What a check is asked for: the endpoint that the container is for, the requests, and the limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_sm_hosting.container_check.contract import (
    INVOCATION_SECONDS,
    MAX_BODY_IN_MODEL,
    MAX_RESPONSE,
    MAX_SERVERLESS_RESPONSE,
    STARTUP_SECONDS,
    STOP_SECONDS,
)
from airflow_sm_hosting.container_check.instances import memory_mb_of
from airflow_sm_hosting.container_check.request_checks import REQUEST_MEMBERS, check_sample_request
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.instance_type import platform_of

#: Content types of files by suffix.
_CONTENT_TYPES = {
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".npy": "application/x-npy",
}


@dataclass(frozen=True)
class SampleRequest:
    """A request that the container must answer.

    :param name: Its name in the report.
    :param body: The body.
    :param content_type: MIME type of the body.
    :param accept: MIME type wanted of the answer.
    :param expect: The expected answer: a string that it contains, any other value that it equals as JSON, None for any.
    """

    name: str
    body: bytes = field(repr=False)
    content_type: str = "application/json"
    accept: str | None = None
    expect: Any = None


@dataclass(frozen=True)
class Wanted:
    """What is checked.

    :param instance_type: The instance type that the container will run on.
    :param serverless_memory_mb: The memory of the serverless endpoint that it will run in.
    :param memory_mb: The memory that it may use, in place of the instance type's.
    :param requests: The requests that it must answer.
    :param has_model_data: Whether there is model data.
    :param startup_seconds: How long it may take until it answers /ping.
    :param invocation_seconds: How long an answer may take.
    :param stop_seconds: How long it may take to end after SIGTERM.
    :param multi_model: Whether it serves many models.
    :param network_isolation: Whether it is also run without a network.
    :param read_only: Whether it is also run with a read-only root file system.
    :param non_root: Whether it is also run as another user than root.
    """

    instance_type: str | None = None
    serverless_memory_mb: int | None = None
    memory_mb: int | None = None
    requests: tuple[SampleRequest, ...] = ()
    has_model_data: bool = False
    startup_seconds: float = STARTUP_SECONDS
    invocation_seconds: float = INVOCATION_SECONDS
    stop_seconds: float = STOP_SECONDS
    multi_model: bool = False
    network_isolation: bool = False
    read_only: bool = False
    non_root: bool = False

    @property
    def platform(self) -> str:
        """The platform that the image must have."""
        # Without a type, that of all types but Graviton's.
        return platform_of(self.instance_type) or "linux/amd64"

    @property
    def memory_limit_mb(self) -> int | None:
        """The memory that the container may use; None for no limit."""
        if self.memory_mb or self.serverless_memory_mb:
            return self.memory_mb or self.serverless_memory_mb
        return memory_mb_of(self.instance_type) if self.instance_type else None

    @property
    def is_serverless(self) -> bool:
        """Whether the container is for a serverless endpoint."""
        return self.serverless_memory_mb is not None

    @property
    def max_response(self) -> int:
        """The most bytes of an answer."""
        return MAX_SERVERLESS_RESPONSE if self.is_serverless else MAX_RESPONSE


def sample_requests(entries: Iterable[Any], path_of: Callable[[str], Path]) -> tuple[SampleRequest, ...]:
    """Return the requests of a list of dicts and paths of files.

    :param entries: The list, checked.
    :param path_of: Returns the path of a file from what names it.
    :raises InvalidSpecError: When a file cannot be read, or a body is larger than InvokeEndpoint accepts.
    """
    requests = [
        _of_file(path_of(entry)) if isinstance(entry, str) else _of_dict(entry, f"request {index + 1}")
        for index, entry in enumerate(entries)
    ]
    for request in requests:
        if len(request.body) > MAX_BODY_IN_MODEL:
            raise InvalidSpecError(
                f"The body of {request.name} has {len(request.body)} bytes; allowed: at most {MAX_BODY_IN_MODEL}."
            )
    return tuple(requests)


def _of_dict(entry: Mapping[str, Any], name: str) -> SampleRequest:
    body = entry["body"]
    return SampleRequest(
        name=entry.get("name") or name,
        body=(body if isinstance(body, str) else json.dumps(body)).encode(),
        content_type=entry.get("content_type") or "application/json",
        accept=entry.get("accept"),
        expect=entry.get("expect"),
    )


def _of_file(path: Path) -> SampleRequest:
    """Return the request of a file: a JSON object with a body and other members of a request is one, all else is a body."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSpecError(f"The request {path} cannot be read: {error.strerror or error}.") from error
    try:
        described = json.loads(content)
    except ValueError:
        described = None
    if isinstance(described, dict) and "body" in described and set(described) <= set(REQUEST_MEMBERS):
        check_sample_request(f"The request {path}", described)
        return _of_dict(described, path.name)
    return SampleRequest(
        name=path.name,
        body=content,
        content_type=_CONTENT_TYPES.get(path.suffix.lower(), "application/octet-stream"),
    )
