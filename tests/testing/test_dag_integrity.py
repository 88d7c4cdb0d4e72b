"""``assert_dag_integrity``: a mistake for each rule is named, and DAG files without mistakes pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_sm_hosting.testing import Rule, assert_dag_integrity
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
    Rule.IMPORTS: ("import no_such_module\n", "No module named 'no_such_module'"),
    Rule.WARNINGS: (
        HEAD
        + "import warnings\nwarnings.warn('old', DeprecationWarning)\nwith DAG('x', schedule=None): EmptyOperator(task_id='a')\n",
        "old",
    ),
    Rule.HAS_DAG: ("VALUE = 1\n", "no DAG was found in it"),
    Rule.NETWORK: (
        HEAD
        + "import socket\nsocket.create_connection(('sagemaker.us-east-1.amazonaws.com', 443))\nwith DAG('x', schedule=None): pass\n",
        "it connects to sagemaker.us-east-1.amazonaws.com:443",
    ),
    Rule.HEAVY: (
        HEAD + "import boto3\nwith DAG('x', schedule=None): EmptyOperator(task_id='a')\n",
        "it imports boto3",
    ),
    Rule.PARSE_COST: (
        HEAD
        + "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nwith DAG('x', schedule=None): EmptyOperator(task_id='a')\n",
        "CPU seconds; 0.3 are allowed",
    ),
    Rule.CYCLE: (
        HEAD
        + "with DAG('x', schedule=None):\n    a = EmptyOperator(task_id='a')\n    b = EmptyOperator(task_id='b')\n    a >> b >> a\n",
        "Cycle detected",
    ),
    Rule.PARAMS: (
        HEAD
        + "with DAG('x', schedule='@daily', params={'endpoint': Param(type='string')}): EmptyOperator(task_id='a')\n",
        "required params without default values",
    ),
    Rule.NAMES: (GOOD.replace('Param("churn"', 'Param("my_churn"'), "endpoint_name is 'my_churn'"),
    Rule.RUN_DATES: (
        GOOD.replace('"churn-1"', '"churn-{{ ds_nodash }}"'),
        "endpoint_config_name uses ds_nodash",
    ),
    Rule.SERIALISATION: (
        HEAD
        + "from airflow.timetables.trigger import CronTriggerTimetable\nclass Mine(CronTriggerTimetable): pass\n"
        + "with DAG('x', schedule=Mine('@daily', timezone='UTC')): EmptyOperator(task_id='a')\n",
        "Mine",
    ),
    Rule.SAME: (
        HEAD
        + "with DAG('x', schedule=None):\n    EmptyOperator(task_id=sorted({'a', 'b', 'c', 'd', 'e'}, key=hash)[0])\n",
        "another parse makes another DAG",
    ),
}


def test_there_is_a_mistake_for_each_rule() -> None:
    assert set(MISTAKES) == set(Rule)


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.name)
def test_a_mistake_is_named(rule: Rule, tmp_path: Path) -> None:
    code, told = MISTAKES[rule]
    (tmp_path / "mistaken.py").write_text(code)
    (tmp_path / "good.py").write_text(GOOD)
    with pytest.raises(AssertionError) as failed:
        assert_dag_integrity(tmp_path, parse_seconds=0.3)
    text = str(failed.value)
    assert re.search(rf"(?m)^mistaken\.py.*: {rule.name}: .*{re.escape(told)}", text), text
    assert "\ngood.py" not in text


@pytest.mark.parametrize("rule", [Rule.NAMES, Rule.HEAVY], ids=lambda rule: rule.name)
def test_an_allowed_rule_is_not_checked(rule: Rule, tmp_path: Path) -> None:
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
