"""Asynchronous requests on disk: what was accepted is answered, also by the next server.

Each is a file of its own, written before it is accepted and removed when what came of it is kept: a queue is long, and is not
written again with each change of the rest.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

VERSION = 1


class BacklogError(ValueError):
    """A file cannot be read; the message says which, and why."""


class Backlog:
    """A folder with the requests that were accepted and are not finished.

    :param folder: An existing folder.
    :param changed: Called when one is finished.
    """

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._lock = threading.Lock()
        self._finished: set[str] = set()

    def put(self, request: Mapping[str, Any], body: bytes | None) -> str:
        """Keep a request.

        :param request: All but its body, of what JSON can have.
        :param body: Its body, where that is not in S3.
        :returns: What to call it by.
        """
        name = str(uuid4())
        kept = {"version": VERSION, **request}
        if body is not None:
            kept["body"] = base64.b64encode(body).decode()
        path = self._folder / f"{name}.json"
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        # It is there after a crash of this process. It is not flushed, as the whole computer goes down less often.
        new.write_text(json.dumps(kept), encoding="utf-8")
        new.replace(path)
        return name

    def finish(self, name: str) -> None:
        """Let one go, once what came of it is kept."""
        with self._lock:
            self._finished.add(name)
        self._changed()

    def clear(self) -> None:
        """Let all go."""
        with self._lock:
            self._finished |= {path.stem for path in self._folder.glob("*.json")}
        self._changed()

    def all(self) -> Iterator[tuple[str, dict[str, Any], bytes | None]]:
        """Return name, request and body of each.

        :raises BacklogError: One cannot be read.
        """
        for new in self._folder.glob("*.new"):
            # It was not accepted yet.
            new.unlink()
        for path in sorted(self._folder.glob("*.json")):
            try:
                kept = json.loads(path.read_text(encoding="utf-8"))
                body = base64.b64decode(kept.pop("body")) if "body" in kept else None
            except (OSError, ValueError) as error:
                raise BacklogError(f"{path} cannot be read: {error}") from error
            if kept.pop("version", None) != VERSION:
                raise BacklogError(f"{path} is of another version than {VERSION}.")
            yield path.stem, kept, body

    # For the state

    def finished(self) -> set[str]:
        """Return which are finished."""
        with self._lock:
            return set(self._finished)

    def remove(self, names: set[str]) -> None:
        """Remove what is finished, as what came of it is kept now."""
        for name in names:
            (self._folder / f"{name}.json").unlink(missing_ok=True)
        with self._lock:
            self._finished -= names
