"""What our tasks cost in CPU: parsing and serialising DAG files, and one step; ours beside the Amazon provider's and a trivial operator's.

``python benchmarks/parse_cost.py [rounds]`` (default: 7, about two minutes). All are measured in one run, in turn, and the median of the ratios of
each round is printed; exit code 1 where a goal is missed. Bytecode must be compiled (run it once before).

Every measurement is a process forked from a parent that has what Airflow's own parent has: the DAG processor imports modules named
``airflow.*`` that a file names before it forks, and no others. So a file with our operators pays our imports at each parse.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="sm-hosting-parse-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

CHAINS = 1000
ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference@sha256:" + "a" * 64

#: The same model, config and endpoint in three ways.
FILES = {
    "ours": """
from airflow.sdk import DAG
from airflow_sm_hosting import (
    ContainerDefinition, CreateEndpointConfigOperator, CreateModelOperator, DeployEndpointOperator, InstanceProductionVariant,
)

with DAG("churn", schedule=None):
    for n in range({chains}):
        model = CreateModelOperator(
            task_id=f"model_{{n}}",
            model_name=f"churn-{{n}}",
            containers=[ContainerDefinition(image={image!r}, model_data="s3://models/churn/model.tar.gz")],
            execution_role={role!r},
        )
        config = CreateEndpointConfigOperator(
            task_id=f"config_{{n}}",
            endpoint_config_name=f"churn-{{n}}",
            production_variants=[
                InstanceProductionVariant(model_name=f"churn-{{n}}", variant_name="main", instance_type="ml.m5.large")
            ],
        )
        endpoint = DeployEndpointOperator(task_id=f"endpoint_{{n}}", endpoint_name=f"churn-{{n}}", endpoint_config_name=f"churn-{{n}}")
        model >> config >> endpoint
""",
    "amazon": """
from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointConfigOperator, SageMakerEndpointOperator, SageMakerModelOperator,
)
from airflow.sdk import DAG

with DAG("churn", schedule=None):
    for n in range({chains}):
        {configs}
        model = SageMakerModelOperator(task_id=f"model_{{n}}", config=model_config)
        config = SageMakerEndpointConfigOperator(task_id=f"config_{{n}}", config=endpoint_config)
        endpoint = SageMakerEndpointOperator(task_id=f"endpoint_{{n}}", config=endpoint_request)
        model >> config >> endpoint
""",
    "trivial": """
from airflow.sdk import DAG, BaseOperator

class Trivial(BaseOperator):
    template_fields = ("config",)

    def __init__(self, *, config, **kwargs):
        super().__init__(**kwargs)
        self.config = config

    def execute(self, context):
        return None

with DAG("churn", schedule=None):
    for n in range({chains}):
        {configs}
        model = Trivial(task_id=f"model_{{n}}", config=model_config)
        config = Trivial(task_id=f"config_{{n}}", config=endpoint_config)
        endpoint = Trivial(task_id=f"endpoint_{{n}}", config=endpoint_request)
        model >> config >> endpoint
""",
}
CONFIGS = """
        model_config = {{
            "ModelName": f"churn-{{n}}",
            "PrimaryContainer": {{"Image": {image!r}, "ModelDataUrl": "s3://models/churn/model.tar.gz"}},
            "ExecutionRoleArn": {role!r},
        }}
        endpoint_config = {{
            "EndpointConfigName": f"churn-{{n}}",
            "ProductionVariants": [
                {{
                    "VariantName": "main",
                    "ModelName": f"churn-{{n}}",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                    "InitialVariantWeight": 1.0,
                }}
            ],
        }}
        endpoint_request = {{"EndpointName": f"churn-{{n}}", "EndpointConfigName": f"churn-{{n}}"}}
"""

PROCESSOR = ("airflow.dag_processing.manager", "airflow.dag_processing.processor", "airflow.sdk")
WORKER = ("airflow.sdk", "airflow.sdk.execution_time.task_runner")
AMAZON = "airflow.providers.amazon.aws.operators.sagemaker"
#: What is imported where all chains are parsed, so that only parsing is measured.
OURS = tuple(
    f"airflow_sm_hosting.{name}"
    for name in (
        "operators.create_model",
        "operators.create_endpoint_config",
        "operators.deploy_endpoint",
        "spec.container",
        "spec.variant",
    )
)

SERVER = """
import json, sys
from airflow_sm_hosting.local import LocalAws
with LocalAws(engine="none", transition_seconds=0) as aws:
    print("AWS" + json.dumps(aws.connection()), flush=True)
    sys.stdin.read()
"""


class Goal(NamedTuple):
    """What is measured, against what, and how much it may cost.

    :param title: What it is.
    :param measure: Returns CPU seconds (and bytes) of ours, the Amazon provider's or the trivial operator's.
    :param against: Ratios by peer.
    :param unit: How often a task is in it.
    """

    title: str
    measure: Callable[[str], list[float]]
    against: dict[str, float]
    tasks: int


def in_fork(
    imports: tuple[str, ...], work: Callable[[], list[float]], *, prepare: Callable[[], None] = gc.freeze
) -> list[float]:
    """Return what work answers in a process forked from one that has these imports.

    :param imports: The modules.
    :param work: What is done in the process.
    :param prepare: What else the parent has done (default: as ``airflow.dag_processing.manager`` does).
    """

    def parent() -> list[float]:
        for module in imports:
            importlib.import_module(module)
        gc.collect()
        prepare()
        return _forked(work)

    return _forked(parent)


def _forked(work: Callable[[], list[float]]) -> list[float]:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, json.dumps(work()).encode())
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if not text:
        raise RuntimeError("a measurement failed; see above")
    found: list[float] = json.loads(text)
    return found


def parse(folder: Path, name: str, chains: int) -> list[float]:
    """Return CPU seconds of what the DAG processor's child does with a file, and the bytes of its DAG."""
    began = time.process_time()
    import structlog
    from airflow.dag_processing.processor import DagFileParseRequest, _parse_file
    from airflow.sdk.execution_time import comms, task_runner  # noqa: F401  # as the child does

    request = DagFileParseRequest(
        file=str(folder / f"{name}_{chains}.py"), bundle_path=folder, bundle_name="b"
    )
    result = _parse_file(request, structlog.get_logger(logger_name="task"))
    if result is None or result.import_errors:
        raise RuntimeError(f"the DAG file has errors: {result and result.import_errors}")
    size = len(result.model_dump_json())
    return [time.process_time() - began, size]


class TaskInstance:
    """As much of a task instance as a step needs."""

    map_index = -1
    try_number = 1

    def xcom_push(self, key: str, value: Any) -> None:
        json.dumps(value)


def step(name: str) -> list[float]:
    """Return CPU seconds of making one model, the import of its operator included."""
    from airflow.sdk import DAG

    began = time.process_time()
    number = f"churn-{os.getpid()}"
    with DAG("churn", schedule=None):
        task: Any
        if name == "ours":
            from airflow_sm_hosting import ContainerDefinition, CreateModelOperator

            task = CreateModelOperator(
                task_id="model",
                model_name=number,
                containers=[ContainerDefinition(image=IMAGE)],
                execution_role=ROLE,
            )
        else:
            from airflow.providers.amazon.aws.operators.sagemaker import SageMakerModelOperator

            config = {
                "ModelName": number,
                "PrimaryContainer": {"Image": IMAGE},
                "ExecutionRoleArn": ROLE,
            }
            task = SageMakerModelOperator(task_id="model", config=config)  # noqa: AIR001
    context: Any = {"ti": TaskInstance(), "params": {}}
    task.render_template_fields(context)
    task.execute(context)
    return [time.process_time() - began]


def has_begun() -> None:
    """Have loaded what every task process has before its operator runs: a DAG was parsed, and a connection can be asked for."""
    from airflow.sdk import DAG, BaseHook

    with DAG("warm", schedule=None):
        pass
    BaseHook.get_connection("aws_default")


def goals(folder: Path) -> list[Goal]:
    """Return what is measured."""

    def many(name: str) -> list[float]:
        modules = {"ours": OURS, "amazon": (AMAZON,), "trivial": ()}[name]
        return in_fork((*PROCESSOR, *modules), lambda: parse(folder, name, CHAINS))

    def one(name: str) -> list[float]:
        modules = (AMAZON,) if name == "amazon" else ()
        return in_fork((*PROCESSOR, *modules), lambda: parse(folder, name, 1))

    def a_step(name: str) -> list[float]:
        return in_fork(WORKER, lambda: step(name), prepare=has_begun)

    return [
        Goal(f"{CHAINS} chains, imported before", many, {"amazon": 1.0, "trivial": 1.25}, 3 * CHAINS),
        Goal("a file with one chain, fresh fork", one, {"trivial": 1.1}, 3),
        Goal("a step, fresh task process", a_step, {"amazon": 0.4}, 1),
    ]


def write_files(folder: Path) -> None:
    """Write the DAG files."""
    for chains in (1, CHAINS):
        for name, text in FILES.items():
            configs = CONFIGS.strip().format(image=IMAGE, role=ROLE)
            written = text.format(chains=chains, image=IMAGE, role=ROLE, configs=configs)
            (folder / f"{name}_{chains}.py").write_text(written)


def start_server() -> subprocess.Popen[str]:
    """Start a local AWS in a process of its own, and have ``aws_default`` lead to it."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith("AWS"):
            os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = line.removeprefix("AWS")
            return server
    raise RuntimeError("the local AWS did not start")


def main() -> int:
    """Measure and print; return how many goals are missed."""
    from rich.console import Console
    from rich.table import Table

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    folder = Path(tempfile.mkdtemp(prefix="sm-hosting-dags-"))
    write_files(folder)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    server = start_server()
    try:
        for module in PROCESSOR:
            importlib.import_module(module)
        table = Table(
            "", "ours", "amazon", "trivial", "ours/amazon", "ours/trivial", "bytes a task", box=None
        )
        missed = 0
        for goal in goals(folder):
            names = ["ours", *goal.against]
            for name in names:
                goal.measure(name)  # compiles
            found: dict[str, list[list[float]]] = {name: [] for name in names}
            for number in range(rounds):
                for name in names if number % 2 else reversed(names):
                    found[name].append(goal.measure(name))
            cells = [
                f"{statistics.median(row[0] for row in found[name]) / goal.tasks * 1e6:.0f} us"
                if name in found
                else ""
                for name in ("ours", "amazon", "trivial")
            ]
            for peer in ("amazon", "trivial"):
                if peer not in goal.against:
                    cells.append("")
                    continue
                ratio = statistics.median(
                    ours[0] / other[0] for ours, other in zip(found["ours"], found[peer], strict=True)
                )
                missed += ratio > goal.against[peer]
                cells.append(f"{ratio:.2f} (goal {goal.against[peer]:g})")
            sizes = [rows[0][1] / goal.tasks for rows in found.values() if len(rows[0]) > 1]
            table.add_row(goal.title, *cells, " / ".join(f"{size:.0f}" for size in sizes))
        Console(width=160).print(table)
        print("us of CPU a task; the ratios are medians of those of each round.")
        return missed
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main())
