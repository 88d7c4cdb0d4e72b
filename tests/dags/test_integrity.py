"""The DAG files as Airflow's DAG processor sees them. Copy this file for your own DAGs, and change the lines marked with ``#:``.

Needs no database, no AWS and no Docker: DAG files must not either.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
else:
    try:
        from airflow.dag_processing.dagbag import DagBag
        from airflow.serialization.serialized_objects import DagSerialization
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag
        from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization

#: Where the DAG files are.
DAGS = Path(__file__).parent.parent.parent / "dags"

#: What no DAG file may import while it is parsed: it is paid again at every parse.
HEAVY = {"boto3", "botocore", "docker", "moto", "numpy", "pandas", "requests", "sagemaker", "sklearn"}

#: What one parse of one file may cost in a warm process, in CPU seconds: an order of magnitude more than it does, to catch a parse
#: that calls AWS or trains a model.
PARSE_SECONDS = 2.0

SAGEMAKER_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
#: Fields of tasks that become names in SageMaker.
NAME_FIELDS = ("endpoint_name", "endpoint_config_name", "model_name", "variant_name")

FILES = sorted(path.name for path in DAGS.glob("*.py"))


@pytest.fixture(scope="module")
def bag() -> DagBag:
    # DAG files import from the folder of their bundle.
    sys.path.append(str(DAGS))
    return DagBag(DAGS, bundle_path=DAGS, safe_mode=False)


def test_every_file_imports_without_an_error(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_no_file_warns(bag: DagBag) -> None:
    # On Airflow 3.1, Airflow's own providers import some names from where they were.
    found = {
        file: [text for text in warnings if "/airflow/providers/" not in text.partition(": ")[0]]
        for file, warnings in bag.captured_warnings.items()
    }
    assert not any(found.values()), found


def test_every_file_has_a_dag(bag: DagBag) -> None:
    assert {dag.relative_fileloc for dag in bag.dags.values()} == set(FILES)


def test_no_dag_has_a_cycle(bag: DagBag) -> None:
    from airflow.sdk import DAG

    for dag in bag.dags.values():
        assert isinstance(dag, DAG)
        dag.check_cycle()


def test_params_are_valid_by_default(bag: DagBag) -> None:
    """A run that an asset event starts has no form in which a person could fill in what is missing."""
    for dag in bag.dags.values():
        # Only a person starts it, who says which endpoint.
        if dag.dag_id != "rollback_endpoint":
            dag.params.validate()


def test_names_are_valid_for_sagemaker_once_rendered(bag: DagBag) -> None:
    for dag in bag.dags.values():
        environment = dag.get_template_env()
        for task in dag.tasks:
            for field in NAME_FIELDS:
                value = getattr(task, field, None)
                if not isinstance(value, str):
                    continue
                params = {"endpoint_name": "given", **dag.params.dump()}
                rendered = environment.from_string(value).render(params=params)
                assert SAGEMAKER_NAME.fullmatch(rendered), (
                    f"{dag.dag_id}.{task.task_id}: {field} is {rendered!r}"
                )


@pytest.mark.parametrize(
    "word", ["ds", "ts", "ds_nodash", "ts_nodash", "logical_date", "data_interval_start"]
)
def test_no_template_uses_what_an_asset_triggered_run_does_not_have(bag: DagBag, word: str) -> None:
    used = re.compile(rf"\{{\{{[^}}]*\b(?<![.|]){word}\b")
    for dag in bag.dags.values():
        for task in dag.tasks:
            for field in task.template_fields:
                text = json.dumps(getattr(task, field, None), default=str)
                assert not used.search(text), f"{dag.dag_id}.{task.task_id}: {field} uses {word}"


def test_every_dag_survives_serialisation(bag: DagBag) -> None:
    for dag in bag.dags.values():
        data = DagSerialization.to_dict(dag)
        assert set(DagSerialization.from_dict(data).task_ids) == set(dag.task_ids)


PROBE = """
import json, sys, time
from pathlib import Path
import airflow.sdk
from airflow.models.serialized_dag import SerializedDagModel
try:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization
except ImportError:
    from airflow.models.dagbag import DagBag
    from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization
folder, file = sys.argv[1:]
sys.path.append(folder)
def parse():
    return DagBag(f"{folder}/{file}", bundle_path=Path(folder), safe_mode=False)
before = set(sys.modules)
bag = parse()
added = {name.partition(".")[0] for name in set(sys.modules) - before}
# Airflow 3.1 asks each installed provider for its metadata where a file has an asset; that imports no more of it.
if any(name.startswith("airflow.providers.amazon.aws") for name in set(sys.modules) - before):
    added.add("airflow.providers.amazon.aws")
began = time.process_time()
parse()
seconds = time.process_time() - began
hashes = {dag_id: SerializedDagModel.hash(DagSerialization.to_dict(dag)) for dag_id, dag in bag.dags.items()}
print("PROBE" + json.dumps({"added": sorted(added), "seconds": seconds, "hashes": hashes}))
"""


def probe(file: str, hash_seed: str) -> dict[str, Any]:
    """Parse one file in a fresh process, and return what that did."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(DAGS), file],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("PROBE")]
    found: dict[str, Any] = json.loads(line.removeprefix("PROBE"))
    return found


@pytest.mark.parametrize("file", FILES)
def test_a_parse_is_cheap_imports_nothing_heavy_and_gives_the_same_dag_each_time(file: str) -> None:
    """A DAG that serialises differently at each parse gets a new version at each parse."""
    first, second = probe(file, "1"), probe(file, "2")
    assert set(first["added"]) & {*HEAVY, "airflow.providers.amazon.aws"} == set()
    assert first["seconds"] < PARSE_SECONDS
    assert first["hashes"] == second["hashes"] != {}
