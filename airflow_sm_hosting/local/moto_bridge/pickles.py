"""What moto's services hold, as bytes and back again.

moto has no state of its own on disk. Its objects are pickled; what cannot be (keys of KMS, parameters of SSM, functions of
Lambda) is named by :func:`dump`, and is lost.
"""

from __future__ import annotations

import copyreg
import hashlib
import io
import logging
import pickle
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.s3.models import FakeKey

LOG = logging.getLogger(__name__)

_LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}


class Blobs:
    """The contents of S3 objects, each in a file by its digest: large, and the same until they are deleted.

    :param folder: An existing folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()

    def put(self, key: FakeKey) -> str:
        """Keep the content of an object, and return its name."""
        known = self._names.get(key)
        if known and known[0] == key.etag:
            return known[1]
        try:
            data: bytes = key.value
        except ValueError:
            # Deleted just now.
            data = b""
        name = hashlib.sha256(data).hexdigest()
        path = self._folder / name
        if not path.exists():
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)
        self._names[key] = (key.etag, name)
        return name

    def get(self, name: str) -> bytes:
        """Return what was kept under a name."""
        return (self._folder / name).read_bytes()

    def keep_only(self, names: set[str]) -> None:
        """Remove all others."""
        for path in self._folder.iterdir():
            if path.name not in names:
                path.unlink()


class _Blob(str):
    """The name of a blob, in the place of its content."""

    __slots__ = ()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, blobs: Blobs) -> None:
        super().__init__(file, protocol=5)
        self._blobs = blobs
        self.names: set[str] = set()

    def persistent_id(self, value: Any) -> Any:
        return str(value) if isinstance(value, _Blob) else None

    def reducer_override(self, value: Any) -> Any:
        if type(value) in _LOCKS:
            return _LOCKS[type(value)], ()
        if isinstance(value, FakeKey):
            state = {k: v for k, v in value.__dict__.items() if k not in ("_value_buffer", "lock")}
            name = self._blobs.put(value)
            self.names.add(name)
            return copyreg.__newobj__, (type(value),), {**state, "value": _Blob(name)}  # type: ignore[attr-defined]
        return NotImplemented


class _Unpickler(pickle.Unpickler):  # noqa: S301 - of files that only this user can write
    def __init__(self, file: io.BytesIO, blobs: Blobs) -> None:
        super().__init__(file)
        self._blobs = blobs

    def persistent_load(self, name: Any) -> bytes:
        return self._blobs.get(name)


def dump(
    blobs: Blobs, *, without: frozenset[str] = frozenset()
) -> tuple[dict[str, bytes], dict[str, str], set[str]]:
    """Return what moto's services hold: bytes by service, why others cannot be kept, and the blobs that are used.

    :param blobs: Where contents of S3 objects go.
    :param without: The services that are not asked.
    :raises RuntimeError: Something changed meanwhile.
    """
    kept: dict[str, bytes] = {}
    lost: dict[str, str] = {}
    names: set[str] = set()
    for backends in list(BackendDict._instances):  # type: ignore[misc]
        service = backends.service_name
        if service in without:
            continue
        file = io.BytesIO()
        pickler = _Pickler(file, blobs)
        try:
            pickler.dump({(account, region): one for account, region, one in backends.iter_backends()})
        except RuntimeError:
            raise
        except Exception as error:
            lost[service] = f"{type(error).__name__}: {error}"
            continue
        kept[service] = file.getvalue()
        names |= pickler.names
    return kept, lost, names


def load(service: str, data: bytes, blobs: Blobs) -> None:
    """Let one of moto's services hold again what it held.

    :raises Exception: It cannot be read.
    """
    held: Mapping[tuple[str, str], Any] = _Unpickler(io.BytesIO(data), blobs).load()
    backends = get_backend(service)  # type: ignore[call-overload]
    for (account, region), one in held.items():
        backends[account][region] = one
