"""What was observed of an image and its containers: facts, no verdicts."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Condition(StrEnum):
    """How a container is run."""

    PLAIN = "plain"
    OTHER_PORT = "bind-to-port"
    NETWORK_ISOLATION = "network isolation"
    READ_ONLY = "read-only"
    NON_ROOT = "non-root"


class Silence(StrEnum):
    """Why there is no answer."""

    TIMEOUT = "timeout"
    #: Nothing accepts connections.
    UNREACHABLE = "unreachable"
    #: The connection was closed before there was a whole answer.
    CLOSED = "closed"
    #: What was sent is no HTTP.
    NOT_HTTP = "not HTTP"


@dataclass(frozen=True)
class Exchange:
    """A request, and what came back.

    :param method: Of the request.
    :param path: Of the request.
    :param seconds: How long it took.
    :param status: The HTTP status; None if there was no whole answer.
    :param silence: Why there was none.
    :param content_type: MIME type of the answer.
    :param location: Where a redirect leads.
    :param body: The answer, as far as it was read.
    :param is_too_large: Whether reading ended at the limit.
    """

    method: str
    path: str
    seconds: float
    status: int | None = None
    silence: Silence | None = None
    content_type: str | None = None
    location: str | None = None
    body: bytes = field(default=b"", repr=False)
    is_too_large: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return self.status is not None and 200 <= self.status < 300


class Listening(NamedTuple):
    """A socket on which a container accepts connections.

    :param address: The IP address.
    :param port: The port.
    """

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only the container itself reaches it."""
        address = ipaddress.ip_address(self.address)
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback


#: The state of a socket that accepts connections (Linux, include/net/tcp_states.h, TCP_LISTEN).
_LISTEN = "0A"
#: Docker's own DNS server in the containers of a network.
_DOCKER_DNS = "127.0.0.11"


def listening_sockets(table: str) -> tuple[Listening, ...]:
    """Return the listening sockets of ``/proc/net/tcp`` and ``/proc/net/tcp6`` (Linux, Documentation/networking/proc_net_tcp.rst).

    :param table: The text of one file, or of both.
    """
    return tuple(sorted(set(_listening(table)), key=lambda one: (one.port, one.address)))


def _listening(table: str) -> Iterator[Listening]:
    for line in table.splitlines():
        columns = line.split()
        if len(columns) < 4 or columns[3] != _LISTEN or ":" not in columns[1]:
            continue
        address, _, port = columns[1].rpartition(":")
        # Words of 32 bits in the byte order of the host, which is little-endian on both of SageMaker's platforms.
        octets = bytes.fromhex(address)
        words = [octets[start : start + 4][::-1] for start in range(0, len(octets), 4)]
        found = Listening(str(ipaddress.ip_address(b"".join(words))), int(port, 16))
        if found.address != _DOCKER_DNS:
            yield found


@dataclass(frozen=True)
class Image:
    """An image in the engine.

    :param reference: What it was found by.
    :param platform: ``os/architecture``.
    :param size: Bytes of its layers, unpacked.
    :param entrypoint: Its ``ENTRYPOINT``.
    :param labels: Its labels.
    :param user: Its ``USER``.
    """

    reference: str
    platform: str
    size: int
    entrypoint: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    user: str = ""


@dataclass(frozen=True)
class Manifest:
    """The manifest of an image in its registry.

    :param media_type: Its media type; empty if it could not be read.
    :param problem: Why SageMaker refuses it, or why it could not be read.
    :param is_certain: Whether it is known that SageMaker refuses it.
    """

    media_type: str
    problem: str = ""
    is_certain: bool = True


@dataclass(frozen=True)
class Ended:
    """A container that ended by itself.

    :param exit_code: Its exit code.
    """

    exit_code: int


@dataclass(frozen=True)
class Stopped:
    """A container that was told to end.

    :param seconds: How long it took.
    :param was_killed: Whether it had to be killed.
    :param exit_code: Its exit code.
    """

    seconds: float
    was_killed: bool
    exit_code: int = 0


@dataclass(frozen=True)
class Run:
    """A container from its start to its end.

    :param port: Where it was to listen.
    :param not_possible: Why it was not run.
    :param start_error: What the engine said if it could not be started.
    :param ready_seconds: How long it took to answer /ping with 200; None if it never did.
    :param last_ping: The last /ping before that.
    :param later_pings: Those after it.
    :param sockets: Where it listened; None if that could not be read.
    :param model_calls: The calls that loaded a model of many.
    :param answers: The answers to the requests, in their order.
    :param unloading: The call that unloaded the model of many.
    :param ended: How it ended before it was told to.
    :param was_out_of_memory: Whether a process of it was killed for want of memory.
    :param memory_mb: The memory that it used at last.
    :param stopped: How it ended when it was told to.
    :param log: Its last lines.
    """

    port: int
    not_possible: str = ""
    start_error: str = ""
    ready_seconds: float | None = None
    last_ping: Exchange | None = None
    later_pings: tuple[Exchange, ...] = ()
    sockets: tuple[Listening, ...] | None = None
    model_calls: tuple[Exchange, ...] = ()
    answers: tuple[Exchange, ...] = ()
    unloading: Exchange | None = None
    ended: Ended | None = None
    was_out_of_memory: bool = False
    memory_mb: float | None = None
    stopped: Stopped | None = None
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observation:
    """All that was observed.

    :param image: The image; None if it cannot be had.
    :param image_error: Why it cannot be had.
    :param manifest: Its manifest; None if it is in no registry.
    :param model_error: Why the model data cannot be unpacked.
    :param runs: The containers by condition.
    """

    image: Image | None
    image_error: str = ""
    manifest: Manifest | None = None
    model_error: str = ""
    runs: Mapping[Condition, Run] = field(default_factory=dict)

    def run(self, condition: Condition) -> Run:
        """Return the container that was run under a condition, or one that was not run."""
        return self.runs.get(condition) or Run(port=0, not_possible="no container was run")
