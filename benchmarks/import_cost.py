"""What an import adds to a DAG parse: ours beside the Amazon provider's, each in fresh processes of one run.

``python benchmarks/import_cost.py [rounds]``. The figure is CPU time over ``airflow.sdk``, which every DAG file pays anyway; the median of
the rounds, which alternate. Bytecode must be compiled (run it once before).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

PEER = "airflow.providers.amazon.aws.operators.sagemaker"
OURS = [
    f"airflow_sm_hosting.{name}"
    for name in (
        "operators.build_image",
        "operators.upload_model_data",
        "operators.check_container",
        "operators.create_model",
        "operators.create_endpoint_config",
        "operators.deploy_endpoint",
        "operators.configure_autoscaling",
        "operators.create_alarm",
        "operators.invoke_endpoint",
        "operators.delete_endpoint",
        "sensors.endpoint",
        "task_groups.model_hosting",
    )
]
PROBE = """
import importlib, json, resource, sys, time
import airflow.sdk, airflow.configuration, airflow.triggers.base
from airflow.sdk import DAG, BaseOperator, BaseOperatorLink, BaseSensorOperator, TaskGroup
before, memory = set(sys.modules), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = time.process_time()
importlib.import_module(sys.argv[1])
seconds = time.process_time() - began
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
print(json.dumps([seconds * 1000, len(set(sys.modules) - before), memory / 1024]))
"""


def measure(module: str) -> list[float]:
    """Return CPU milliseconds, modules and megabytes that importing a module adds."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, module], capture_output=True, text=True, check=True, env=environment
    )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    modules = [*OURS, PEER]
    for module in modules:
        measure(module)  # compiles
    found: dict[str, list[list[float]]] = {module: [] for module in modules}
    for _ in range(rounds):
        for module in modules:
            found[module].append(measure(module))
    medians = {
        module: [statistics.median(column) for column in zip(*rows, strict=True)]
        for module, rows in found.items()
    }
    table = Table("module", "CPU ms", "of the peer's", "modules", "MB", box=None)
    for module, (milliseconds, count, megabytes) in medians.items():
        ratio = milliseconds / medians[PEER][0]
        table.add_row(module, f"{milliseconds:.1f}", f"{ratio:.2f}", f"{count:.0f}", f"{megabytes:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
