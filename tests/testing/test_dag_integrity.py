"""``assert_dag_integrity``: a mistake for each rule is named, and DAG files without mistakes pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_sm_hosting.testing import DagRule, assert_dag_integrity
from airflow_sm_hosting.testing.dag_integrity import find_problems

DAGS = Path(__file__).parent.parent.parent / "dags"

GOOD = """
from airflow.sdk import DAG, Param
from airflow_sm_hosting import DeployEndpointOperator

with DAG("good", schedule="@daily", params={"endpoint": Param("churn", type="string")}):
    DeployEndpointOperator(task_id="deploy", endpoint_name="{{ params.endpoint }}", endpoint_config_name="churn-1")
"""

HEAD = "from airflow.sdk import DAG, Param\nfrom airflow.providers.standard.operators.empty import EmptyOperator\n"

#: A file with one mistake for each rule, and a part of what is said about it.
MISTAKES = {
    DagRule.IMPORTS: ("import no_such_module\n", "No module named 'no_such_module'"),
    DagRule.WARNINGS: (
        HEAD
        + "import warnings\nwarnings.warn('old', DeprecationWarning)\nwith DAG('x', schedule=None): EmptyOperator(task_id='a')\n",
        "old",
    ),
    DagRule.HAS_DAG: ("VALUE = 1\n", "no DAG was found in it"),
    DagRule.NETWORK: (
        HEAD
        + "import socket\nsocket.create_connection(('sagemaker.us-east-1.amazonaws.com', 443))\nwith DAG('x', schedule=None): pass\n",
        "it connects to sagemaker.us-east-1.amazonaws.com:443",
    ),
    DagRule.HEAVY: (
        HEAD + "import boto3\nwith DAG('x', schedule=None): EmptyOperator(task_id='a')\n",
        "it imports boto3",
    ),
    DagRule.PARSE_COST: (
        HEAD
        + "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nwith DAG('x', schedule=None): EmptyOperator(task_id='a')\n",
        "CPU seconds; 0.3 are allowed",
    ),
    DagRule.CYCLE: (
        HEAD
        + "with DAG('x', schedule=None):\n    a = EmptyOperator(task_id='a')\n    b = EmptyOperator(task_id='b')\n    a >> b >> a\n",
        "Cycle detected",
    ),
    DagRule.PARAMS: (
        HEAD
        + "with DAG('x', schedule='@daily', params={'endpoint': Param(type='string')}): EmptyOperator(task_id='a')\n",
        "required params without default values",
    ),
    DagRule.NAMES: (GOOD.replace('Param("churn"', 'Param("my_churn"'), "endpoint_name is 'my_churn'"),
    DagRule.RUN_DATES: (
        GOOD.replace('"churn-1"', '"churn-{{ ds_nodash }}"'),
        "endpoint_config_name uses ds_nodash",
    ),
    DagRule.SERIALISATION: (
        HEAD
        + "from airflow.timetables.trigger import CronTriggerTimetable\nclass Mine(CronTriggerTimetable): pass\n"
        + "with DAG('x', schedule=Mine('@daily', timezone='UTC')): EmptyOperator(task_id='a')\n",
        "Mine",
    ),
    DagRule.SAME: (
        HEAD
        + "with DAG('x', schedule=None):\n    EmptyOperator(task_id=sorted({'a', 'b', 'c', 'd', 'e'}, key=hash)[0])\n",
        "another parse makes another DAG",
    ),
}


def test_there_is_a_mistake_for_each_rule() -> None:
    assert set(MISTAKES) == set(DagRule)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a folder with all the mistakes, and a file without one."""
    folder = tmp_path_factory.mktemp("dags")
    for rule, (code, _) in MISTAKES.items():
        (folder / f"{rule.name}.py").write_text(code)
    (folder / "good.py").write_text(GOOD)
    with pytest.raises(AssertionError) as failed:
        assert_dag_integrity(folder, parse_seconds=0.3)
    return str(failed.value)


@pytest.mark.parametrize("rule", DagRule, ids=lambda rule: rule.name)
def test_a_mistake_is_named(rule: DagRule, told: str) -> None:
    part = re.escape(MISTAKES[rule][1])
    assert re.search(rf"(?m)^{rule.name}\.py.*: {rule.name}: .*{part}", told), told


def test_nothing_is_said_of_a_file_without_mistakes(told: str) -> None:
    assert "good.py" not in told


def test_each_mistake_breaks_no_other_rule(told: str) -> None:
    others = [line for line in told.splitlines()[1:] if not re.match(r"(\w+)\.py.*: \1: ", line)]
    assert others == []


@pytest.mark.parametrize("rule", [DagRule.NAMES, DagRule.HEAVY], ids=lambda rule: rule.name)
def test_an_allowed_rule_is_not_checked(rule: DagRule, tmp_path: Path) -> None:
    file = tmp_path / "mistaken.py"
    file.write_text(MISTAKES[rule][0])
    assert {one.rule for one in find_problems(file)} == {rule}
    assert_dag_integrity(file, allowed={rule})


def test_a_name_without_a_default_is_checked_with_given_params(tmp_path: Path) -> None:
    code = GOOD.replace('Param("churn", type="string")', 'Param(type="string")').replace('"@daily"', "None")
    (tmp_path / "asked.py").write_text(code)
    assert_dag_integrity(tmp_path)
    with pytest.raises(AssertionError, match="endpoint_name is 'a_b'"):
        assert_dag_integrity(tmp_path, params={"good": {"endpoint": "a_b"}})


def test_a_folder_without_dag_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no DAG file, and no folder with DAG files"):
        assert_dag_integrity(tmp_path)


def test_the_example_dags_pass() -> None:
    assert_dag_integrity(DAGS)


def test_the_example_of_the_documentation_is_told_so(tmp_path: Path) -> None:
    text = (DAGS.parent / "docs/testing.md").read_text()
    code = next(block for block in re.findall(r"(?s)```python\n(.*?)```", text) if "my_churn" in block)
    (tmp_path / "deploy.py").write_text(code)
    with pytest.raises(AssertionError) as failed:
        assert_dag_integrity(tmp_path)
    assert str(failed.value) in text
