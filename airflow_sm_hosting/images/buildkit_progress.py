"""Reads the progress that BuildKit reports through the Docker Engine's API: messages in Protocol Buffers.

The SDK has no classes for them; these have the fields that are used here.

.. seealso:: https://github.com/moby/buildkit/blob/master/api/services/control/control.proto (StatusResponse)
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

#: The id of the events that have such a message, and of the one that has the image's id.
TRACE, IMAGE = "moby.buildkit.trace", "moby.image.id"
_FIELD = descriptor_pb2.FieldDescriptorProto
#: Message -> field -> (number, whether there are several, its type).
_MESSAGES: dict[str, dict[str, tuple[int, bool, str]]] = {
    "StatusResponse": {"vertexes": (1, True, "Vertex"), "logs": (3, True, "VertexLog")},
    "Vertex": {
        "digest": (1, False, "string"),
        "name": (3, False, "string"),
        "cached": (4, False, "bool"),
        "started": (5, False, "bytes"),
        "completed": (6, False, "bytes"),
        "error": (7, False, "string"),
    },
    "VertexLog": {"vertex": (1, False, "string"), "msg": (4, False, "bytes")},
}
_TYPES = {"string": _FIELD.TYPE_STRING, "bytes": _FIELD.TYPE_BYTES, "bool": _FIELD.TYPE_BOOL}
_PACKAGE = "airflow_sm_hosting.buildkit"


@cache
def _status_response() -> Any:
    """Return the class of the message."""
    file = descriptor_pb2.FileDescriptorProto(
        name="airflow_sm_hosting/buildkit.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, several, kind) in fields.items():
            message.field.add(
                name=field,
                number=number,
                label=_FIELD.LABEL_REPEATED if several else _FIELD.LABEL_OPTIONAL,
                type=_TYPES.get(kind, _FIELD.TYPE_MESSAGE),
                type_name=None if kind in _TYPES else f".{_PACKAGE}.{kind}",
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.StatusResponse"))


class BuildKitProgress:
    """The lines of a build's log: each step once when it begins and when it is taken from the cache, and what it prints."""

    def __init__(self) -> None:
        self._shown: set[str] = set()
        self._unfinished: dict[str, bytes] = {}

    def lines(self, aux: str) -> list[str]:
        """Return the lines of one event.

        :param aux: The message in base64.
        """
        status = _status_response().FromString(base64.b64decode(aux))
        lines = []
        for step in status.vertexes:
            if step.started and step.digest not in self._shown:
                self._shown.add(step.digest)
                lines.append(f"{step.name}{' (cached)' if step.cached else ''}")
            if step.completed:
                lines += self._rest(step.digest)
            if step.error:
                lines.append(f"{step.name}: {step.error}")
        for log in status.logs:
            # A line may come in pieces.
            *whole, rest = (self._unfinished.pop(log.vertex, b"") + log.msg).split(b"\n")
            lines += [line.decode(errors="replace").rstrip("\r") for line in whole]
            if rest:
                self._unfinished[log.vertex] = rest
        return [line for line in lines if line.strip()]

    def _rest(self, vertex: str) -> list[str]:
        rest = self._unfinished.pop(vertex, b"")
        return [rest.decode(errors="replace")] if rest else []
