"""Parse DAG files as Airflow's DAG processor does, and print what that showed: run by ``assert_dag_integrity`` as a program.

A process of its own: the files are imported for the first time, and nothing of them remains in the tests' process. Each file is parsed in
a fork of a process that has Airflow already, so that what is counted is the file's own.
"""

from __future__ import annotations

import json
import multiprocessing
import re
import sys
import time
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

#: Begins the lines of the output that are results: what DAG files print themselves is not.
MARK = "SM_HOSTING_PARSED "

#: Fields of tasks that become names in SageMaker.
_NAME_FIELDS = (
    "endpoint_name",
    "endpoint_config_name",
    "model_name",
    "variant_name",
    "inference_component_name",
)

_NO_NETWORK = "a DAG file must not open a network connection while it is parsed"


def main(folder: str, params: str, *files: str) -> None:
    """Print what each file shows, a line of JSON a file.

    :param folder: The folder of the DAG files.
    :param params: Values of Params by DAG id, as JSON.
    :param files: The files.
    """
    import airflow.sdk  # noqa: F401  (what a warm DAG processor has)
    from airflow.models.serialized_dag import SerializedDagModel  # noqa: F401

    _dag_bag_class()
    sys.path.append(folder)
    # One process a file: an import counts where it happens.
    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        for facts in pool.imap(partial(parsed, folder, json.loads(params)), files, chunksize=1):
            print(MARK + json.dumps(facts), flush=True)


def parsed(folder: str, params: dict[str, Any], file: str) -> dict[str, Any]:
    """Return what parsing a file shows.

    :param folder: The folder of the DAG files.
    :param params: Values of Params by DAG id.
    :param file: The file.
    """
    connections = _watch_connections()
    before = set(sys.modules)
    bag = _dag_bag_class()(file, bundle_path=Path(folder), safe_mode=False)
    imported = sorted(set(sys.modules) - before)
    began = time.process_time()
    _dag_bag_class()(file, bundle_path=Path(folder), safe_mode=False)
    return {
        "file": file,
        "errors": list(bag.import_errors.values()),
        # Of the file itself; those of libraries are not its own.
        "warnings": [
            text.partition(": ")[2]
            for found in bag.captured_warnings.values()
            for text in map(str, found)
            if text.startswith(file)
        ],
        "connections": connections,
        "imported": imported,
        "seconds": time.process_time() - began,
        "dags": {dag_id: _dag_facts(dag, params.get(dag_id, {})) for dag_id, dag in bag.dags.items()},
    }


def _watch_connections() -> list[str]:
    """Refuse network connections, and return the list to which their addresses are added."""
    found: list[str] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            address = f"{arguments[0]}:{arguments[1]}"
        elif event == "socket.connect" and isinstance(arguments[1], tuple):
            address = f"{arguments[1][0]}:{arguments[1][1]}"
        else:
            return  # the local sockets of logging and others
        if address not in found:
            found.append(address)
        raise PermissionError(_NO_NETWORK)

    sys.addaudithook(hook)
    return found


def _dag_bag_class() -> Any:
    try:
        module = import_module("airflow.dag_processing.dagbag")
    except ImportError:  # Airflow 3.1
        module = import_module("airflow.models.dagbag")
    return module.DagBag


def _serialization() -> Any:
    module = import_module("airflow.serialization.serialized_objects")
    return getattr(module, "DagSerialization", None) or module.SerializedDAG  # Airflow 3.1


def _dag_facts(dag: Any, params: dict[str, Any]) -> dict[str, Any]:
    from airflow.models.serialized_dag import SerializedDagModel

    facts: dict[str, Any] = {
        "names": list(_names(dag, params)),
        "templates": list(_templates(dag)),
        "serialisation": None,
        "hash": None,
        "lost_tasks": [],
    }
    try:
        data = _serialization().to_dict(dag)
        facts["hash"] = SerializedDagModel.hash(data)
        facts["lost_tasks"] = sorted(set(dag.task_ids) - set(_serialization().from_dict(data).task_ids))
    except Exception as error:
        facts["serialisation"] = f"{type(error).__name__}: {error}"
    return facts


def _names(dag: Any, params: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield task, field and rendered value of each field that becomes a name; those that depend on other tasks are left out."""
    from jinja2 import TemplateError

    environment = dag.get_template_env()
    values = {name: value for name, value in dag.params.dump().items() if value is not None} | params
    for task in dag.tasks:
        for field in _NAME_FIELDS:
            value = getattr(task, field, None)
            if not isinstance(value, str):
                continue
            used = set(re.findall(r"params\.(\w+)", value))
            if used - set(values):
                continue  # a Param without a default: only a person knows it
            try:
                yield task.task_id, field, environment.from_string(value).render(params=values, dag=dag)
            except TemplateError:
                continue  # it needs a run


def _templates(dag: Any) -> Iterator[tuple[str, str, str]]:
    """Yield task, field and text of each field with a template."""
    for task in dag.tasks:
        for field in task.template_fields:
            text = json.dumps(getattr(task, field, None), default=str)
            if "{{" in text or "{%" in text:
                yield task.task_id, field, text


if __name__ == "__main__":
    main(*sys.argv[1:])
