"""The ports as DAG files, and the page that shows them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports.counting import lines_of_code, lines_of_notebook, lines_of_text
from tests.ports.originals import ORIGINALS
from tests.ports.page import PAGE, page

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
else:
    try:
        from airflow.dag_processing.dagbag import DagBag
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag

HERE = Path(__file__).parent
#: What no port may import: of this package only the names that users see, and no hook.
ALLOWED = {"__future__", "airflow.sdk", "airflow_sm_hosting", "datetime", "typing"}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> DagBag:
    folder = tmp_path_factory.mktemp("ports")
    for port in ORIGINALS:
        (folder / f"{port}.py").write_text((HERE / f"{port}.py").read_text())
    sys.path.append(str(folder))
    return DagBag(folder, bundle_path=folder, safe_mode=False)


def test_every_port_is_a_dag_that_parses_without_an_error_or_a_warning(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}
    assert set(bag.dags) == set(ORIGINALS)


@pytest.mark.parametrize("port", ORIGINALS)
def test_a_port_imports_airflow_and_our_public_names_only(port: str) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse((HERE / f"{port}.py").read_text())):
        if isinstance(node, ast.Import):
            imported.update(one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert imported <= ALLOWED


def test_no_port_has_a_task_that_is_code(bag: DagBag) -> None:
    """Code in a task could call AWS by itself."""
    ours = ("airflow_sm_hosting.", "airflow.providers.standard.operators.empty")
    for dag in bag.dags.values():
        for task in dag.tasks:
            kind = task.operator_class if task.is_mapped else type(task)
            assert str(kind.__module__).startswith(ours), f"{dag.dag_id}.{task.task_id} is a {kind}"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.ports.page"


def test_every_kind_is_there_once() -> None:
    assert len({one.kind for one in ORIGINALS.values()}) == len(ORIGINALS) >= 12
    assert all(len(one.commit) == 40 and one.lines > 0 for one in ORIGINALS.values())


def test_lines_are_counted_without_comments_and_docstrings() -> None:
    text = '"""Doc\n\nstring."""\n\n# comment\nimport os\n\n\ndef a():\n    """Doc."""\n    return """\n\n# text"""\n\n\ndef b():\n    pass\n'
    assert lines_of_code(text) == 5
    assert lines_of_code(text, without=("a",)) == 3
    assert lines_of_code(text, only=("b",)) == 2
    assert lines_of_text("/* a\nb */\n// c\nd: 1\n\n# e\nf") == 2
    notebook = '{"cells": [{"source": ["a = 1\\n", "%%time"]}, {"source": ["b"]}, {"source": ["c"]}]}'
    assert lines_of_notebook(notebook, (0, 2)) == 2
