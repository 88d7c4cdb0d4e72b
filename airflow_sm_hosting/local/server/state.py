"""The saved state on disk, which outlives the server.

The state of this package is one JSON file; each service of moto is a pickle; S3 objects, layers of images and asynchronous requests are
a file each. Every such file is replaced at once, so that none is ever half written. Data of metrics are in an SQLite database, as only
changes of them are written.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from airflow_sm_hosting.local.cloudwatch.metrics import MetricStore
from airflow_sm_hosting.local.cloudwatch.metrics_file import MetricsFile, VersionError
from airflow_sm_hosting.local.moto_bridge import pickles
from airflow_sm_hosting.local.runtime.backlog import Backlog, BacklogError

LOG = logging.getLogger(__name__)

_VERSION = 1
# Changes within so long are written together.
_GATHER_SECONDS = 0.2
# Changes without a request (scaling, deployments) and those of invocations (metrics, log lines) are written so often.
_POLL_SECONDS = 5.0
# Answered by this package, so that nothing of moto's is in them.
_NOT_MOTO = frozenset({"cloudwatch", "applicationautoscaling"})


class StateError(RuntimeError):
    """The state cannot be used; the message says why."""


class State:
    """A folder with the saved state, used by one server at a time.

    :param folder: The folder; created if it does not exist.
    :raises StateError: Another server uses it, or other users could write into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_owner(self.folder)
        self._lock = FileLock(self.folder / "lock", thread_local=False, mode=0o600)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise StateError(f"Another local AWS uses the state folder {self.folder}.") from error
        #: Where the layers of images are.
        self.registry_folder = self._subfolder("registry")
        #: The asynchronous requests that are not finished.
        self.backlog = Backlog(self._subfolder("async"), self.changed)
        self._moto_folder = self._subfolder("moto")
        self._blobs = pickles.Blobs(self._subfolder("objects"))
        self._written: dict[Path, bytes] = {}
        self._lost: set[str] = set()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._dump: Callable[[], Any] | None = None
        self._metrics: Callable[[], Mapping[str, MetricStore]] | None = None
        self._metrics_file: MetricsFile | None = None

    def load(self) -> Any:
        """Restore moto's state, and return the state of this package; None where nothing was saved.

        :raises StateError: It cannot be read.
        """
        file = self.folder / "state.json"
        if not file.exists():
            return None
        try:
            saved = json.loads(file.read_text(encoding="utf-8"), object_hook=_decoded)
        except (OSError, ValueError) as error:
            raise StateError(f"{file} cannot be read: {error}") from error
        if saved.get("version") != _VERSION:
            raise StateError(f"{file} has the version {saved.get('version')}, not {_VERSION}.")
        for path in sorted(self._moto_folder.glob("*.pickle")):
            try:
                pickles.load(path.stem, path.read_bytes(), self._blobs)
            except Exception as error:
                raise StateError(
                    f"{path} cannot be read by moto {version('moto')} (written by {saved.get('moto')}): {error!r}"
                ) from error
        return saved["state"]

    def load_metrics(self, of_region: Callable[[str], MetricStore]) -> None:
        """Restore the data of metrics.

        :param of_region: Returns the metrics of a Region.
        :raises StateError: The data cannot be read.
        """
        path = self.folder / "metrics.sqlite"
        try:
            self._metrics_file = MetricsFile(path)
            self._metrics_file.load(of_region)
        except VersionError as error:
            raise StateError(str(error)) from error
        except sqlite3.Error as error:
            raise StateError(f"{path} cannot be read: {error}") from error

    def load_requests(self, requeue: Callable[[str, Mapping[str, Any], bytes | None], object]) -> None:
        """Requeue the asynchronous requests that were not finished.

        :param requeue: Takes name, request and body of each.
        :raises StateError: One cannot be read.
        """
        try:
            for name, request, body in self.backlog.all():
                requeue(name, request, body)
        except BacklogError as error:
            raise StateError(str(error)) from error

    def begin(self, dump: Callable[[], Any], metrics: Callable[[], Mapping[str, MetricStore]]) -> None:
        """Begin to save.

        :param dump: Returns the state of this package, of what JSON can have, and datetimes.
        :param metrics: Returns the metrics of each Region.
        """
        self._dump, self._metrics = dump, metrics
        self._thread = threading.Thread(target=self._keep_writing, name="state", daemon=True)
        self._thread.start()

    def changed(self) -> None:
        """Save soon: something changed."""
        self._dirty.set()

    def close(self) -> None:
        """Save the last changes, and release the folder."""
        self._closing.set()
        self._dirty.set()
        if self._thread:
            self._thread.join()
            try:
                self._write()
            except Exception:
                LOG.exception("the state cannot be written to %s", self.folder)
        if self._metrics_file:
            self._metrics_file.close()
        self._lock.release()

    def _keep_writing(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait(_POLL_SECONDS)
            self._closing.wait(_GATHER_SECONDS)
            self._dirty.clear()
            try:
                self._write()
            except RuntimeError:
                # moto's objects have no lock of ours: something changed while it was read.
                self._dirty.set()
            except Exception:
                LOG.exception("the state cannot be written to %s", self.folder)

    def _write(self) -> None:
        if self._dump is None:
            return
        # Read first: what is dumped below has their results.
        finished = self.backlog.finished()
        services, lost, names = pickles.dump(self._blobs, without=_NOT_MOTO)
        for service in sorted(set(lost) - self._lost):
            LOG.warning(
                "NOT SAVED: the contents of %s are lost when this server ends (moto's objects cannot be pickled: %s)",
                *(service, lost[service]),
            )
        self._lost |= set(lost)
        for service, data in services.items():
            self._replace(self._moto_folder / f"{service}.pickle", data)
        for path in self._moto_folder.glob("*.pickle"):
            if path.stem not in services:
                path.unlink()
                self._written.pop(path, None)
        saved = {"version": _VERSION, "moto": version("moto"), "state": self._dump()}
        self._replace(self.folder / "state.json", json.dumps(saved, default=_encoded).encode())
        if self._metrics_file and self._metrics:
            self._metrics_file.write(self._metrics())
        self._blobs.keep_only(names)
        self.backlog.remove(finished)

    def _replace(self, path: Path, data: bytes) -> None:
        if self._written.get(path) == data:
            return
        new = path.with_suffix(".new")
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        self._written[path] = data

    def _subfolder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder


def _check_owner(folder: Path) -> None:
    """Refuse a folder that others write into: who can change a pickle can run code as this user."""
    found = folder.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise StateError(
            f"{folder} must belong to you, and nobody else may have write access: chmod go-w {folder}"
        )


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$time": value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be saved")


def _decoded(value: dict[str, Any]) -> Any:
    return datetime.fromisoformat(value["$time"]) if value.keys() == {"$time"} else value
