"""Open Airflow's UI on what the demo made: ``airflow standalone`` in the demo's environment (``make ui``)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent / ".demo"


def main() -> None:
    """Become ``airflow standalone``."""
    written = HOME / "environment.json"
    if not written.exists():
        sys.exit("Run 'make demo' first.")
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "AWS_"))]:
        del os.environ[name]  # the shell's own Airflow and AWS are left alone
    os.environ.update(json.loads(written.read_text()))
    port = os.environ.setdefault("AIRFLOW__API__PORT", "8080")
    os.environ["AIRFLOW__API__BASE_URL"] = f"http://127.0.0.1:{port}"
    os.environ["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"http://127.0.0.1:{port}/execution/"
    airflow = Path(sys.executable).parent / "airflow"
    os.environ["PATH"] = f"{airflow.parent}{os.pathsep}{os.environ['PATH']}"  # it starts "airflow" by name
    print(f"Airflow's UI: http://127.0.0.1:{port} (no password). Press Ctrl-C to stop it.", flush=True)
    os.execv(airflow, [str(airflow), "standalone"])  # noqa: S606  (no shell: it takes the place of this process)


if __name__ == "__main__":
    main()
