"""What a stand-in is asked, and what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"


@dataclass(frozen=True)
class Setting:
    """What a stand-in was started with.

    :param environment: Its environment variables.
    :param has_model: Whether its ``/opt/ml/model`` has anything in it.
    :param has_script: Whether there is a script of the user's, which is never run: ``code/inference.py`` or ``SAGEMAKER_PROGRAM``.
    """

    environment: Mapping[str, str]
    has_model: bool
    has_script: bool = False

    def get(self, *names: str) -> str:
        """Return the first of some environment variables that is not empty, or an empty string."""
        return next((self.environment[name] for name in names if self.environment.get(name)), "")


@dataclass(frozen=True)
class Question:
    """One request to ``/invocations``.

    :param body: Its body.
    :param content_type: Its content type, without parameters; an empty string for none.
    :param accept: The content type that is wanted; an empty string for any.
    :param setting: What the stand-in was started with.
    :param adapter: The adapter that it names.
    :param adapters: The adapters that are loaded.
    :param type_parameters: The parameters of the content type.
    """

    body: bytes
    content_type: str
    accept: str
    setting: Setting
    adapter: str = ""
    adapters: tuple[str, ...] = ()
    type_parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An answer.

    :param body: The body.
    :param content_type: Its content type.
    :param status: The HTTP status.
    :param parts: The body in parts, each sent at once; instead of ``body``.
    """

    body: bytes = b""
    content_type: str = JSON
    status: int = 200
    parts: Iterator[bytes] | None = None


class RefusedQuestion(Exception):
    """A request that the family does not take.

    :param status: The HTTP status.
    :param body: What the family says: JSON, or text.
    """

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.reply = (
            Reply(body.encode(), "text/plain", status)
            if isinstance(body, str)
            else Reply(as_json(body), JSON, status)
        )


def as_json(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value).encode()


def json_reply(value: Any, status: int = 200) -> Reply:
    """Return a value as an answer in JSON."""
    return Reply(as_json(value), JSON, status)


def json_object(question: Question) -> dict[str, Any]:
    """Return the body, a JSON object.

    :raises ValueError: It is something else.
    """
    try:
        value = json.loads(question.body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"the body is not a JSON object but {type(value).__name__}")
    return value
