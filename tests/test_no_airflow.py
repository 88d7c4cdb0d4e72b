"""``make test-unit`` runs without Airflow: the plugin that holds that bites."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PURE = "from airflow_sm_hosting import policies\nfrom airflow_sm_hosting.fields import Fields\n"


#: What is no unit test, and what the run says of it.
FAILING = {
    "module": ("import airflow.sdk\ndef test_one(): pass", "imports Airflow"),
    "test": (
        "def test_one():\n    try:\n        import airflow\n    except Exception:\n        pass",
        "imports Airflow",
    ),
    "operator": (
        "from airflow_sm_hosting import CreateModelOperator\ndef test_one(): pass",
        "imports Airflow",
    ),
    "server": (
        "def test_one():\n    from tests.local_servers import local_server\n    local_server()",
        "a unit test",
    ),
    "process": ("import subprocess\ndef test_one():\n    subprocess.run(['true'])", "starts a process"),
    "connection": (
        "import socket\ndef test_one():\n    socket.create_connection(('127.0.0.1', 1))",
        "opens a connection",
    ),
}


def test_what_is_pure_passes_what_is_not_fails_and_what_stands_in_dags_is_left_out(tmp_path: Path) -> None:
    texts = {name: text for name, (text, _) in FAILING.items()}
    texts |= {"pure": PURE + "def test_one(): pass", "left_out_in_dags": "import airflow.sdk"}
    for name, text in texts.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    options = ["-p", "tests.no_airflow", "-p", "no:cacheprovider", "--continue-on-collection-errors", "-q"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "-rA", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "300"},
    ).stdout
    ended = re.findall(r"^(PASSED|FAILED|ERROR) \S*test_(\w+)\.py(.*)$", found, re.MULTILINE)
    assert {name for end, name, _ in ended if end == "PASSED"} == {"pure"}, found
    assert {name for end, name, _ in ended if end != "PASSED"} == set(FAILING), found
    for _, name, said in ended:
        assert name == "pure" or FAILING[name][1] in said, said
