"""Accepted asynchronous requests on disk, so that the next server answers them.

Each is a separate file, written before the request is accepted and removed when its result is saved: a queue can be long, and is not
written again with each change of other state.
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
    """A folder with the accepted requests that are not finished.

    :param folder: An existing folder.
    :param changed: Called when one is finished.
    """

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._lock = threading.Lock()
        self._finished: set[str] = set()

    def put(self, request: Mapping[str, Any], body: bytes | None) -> str:
        """Save a request.

        :param request: All but its body, of what JSON can have.
        :param body: Its body, where that is not in S3.
        :returns: Its name.
        """
        name = str(uuid4())
        saved = {"version": VERSION, **request}
        if body is not None:
            saved["body"] = base64.b64encode(body).decode()
        path = self._folder / f"{name}.json"
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        # The file survives a crash of this process. It is not flushed to the disk, as a crash of the computer is rare.
        new.write_text(json.dumps(saved), encoding="utf-8")
        new.replace(path)
        return name

    def finish(self, name: str) -> None:
        """Have a request removed once its result is saved."""
        with self._lock:
            self._finished.add(name)
        self._changed()

    def clear(self) -> None:
        """Have all requests removed."""
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
                saved = json.loads(path.read_text(encoding="utf-8"))
                body = base64.b64decode(saved.pop("body")) if "body" in saved else None
            except (OSError, ValueError) as error:
                raise BacklogError(f"{path} cannot be read: {error}") from error
            if saved.pop("version", None) != VERSION:
                raise BacklogError(f"{path} does not have the version {VERSION}.")
            yield path.stem, saved, body

    # For the state

    def finished(self) -> set[str]:
        """Return the names of the finished requests."""
        with self._lock:
            return set(self._finished)

    def remove(self, names: set[str]) -> None:
        """Remove finished requests, whose results are saved."""
        for name in names:
            (self._folder / f"{name}.json").unlink(missing_ok=True)
        with self._lock:
            self._finished -= names
