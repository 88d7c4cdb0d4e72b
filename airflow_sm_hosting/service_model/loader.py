"""Loading botocore's models of services, which is most of what a first client costs."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from botocore.loaders import JSONFileLoader, Loader
from botocore.session import Session


class PlainJson(JSONFileLoader):
    """Reads models into dicts, which keep their order, too, and are parsed three times as fast as botocore's OrderedDict."""

    def load_file(self, file_path: str) -> Any:
        """Return what is in ``file_path``, with ``.json`` or ``.json.gz`` after it; None where there is neither."""
        with suppress(FileNotFoundError):
            return json.loads(Path(f"{file_path}.json").read_bytes())
        with suppress(FileNotFoundError):
            return json.loads(gzip.decompress(Path(f"{file_path}.json.gz").read_bytes()))
        return None


class ServiceLoader(Loader):
    """Loads a service without looking for each version of each other one first (more than 400 folders, for every kind of model)."""

    def list_available_services(self, type_name: str) -> list[str]:
        """Return all services; one that lacks this kind of model is found out when it is loaded (DataNotFoundError)."""
        return sorted({name for path in self.search_paths for name in _folders(path)})


@cache
def service_loader(data_path: str | None) -> Loader:
    """Return the loader of this process: what one client, or one check, has loaded is there for all.

    :param data_path: Where to look first: folders as botocore's setting ``data_path`` has them (environment variable ``AWS_DATA_PATH``).
    """
    folders = (data_path or "").split(os.pathsep)
    first = [os.path.expandvars(os.path.expanduser(folder)) for folder in folders if folder]
    return ServiceLoader(extra_search_paths=first, file_loader=PlainJson())


def use_service_loader(session: Session) -> None:
    """Have a botocore session load with it."""
    session.register_component("data_loader", service_loader(session.get_config_variable("data_path")))


def _folders(path: str) -> Iterator[str]:
    with suppress(FileNotFoundError), os.scandir(path) as entries:
        yield from (entry.name for entry in entries if entry.is_dir())
