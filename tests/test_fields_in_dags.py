"""The parameters of operators, each declared once: its check, its value, and whether Airflow renders it."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

import airflow_sm_hosting
from airflow_sm_hosting import (
    BuildImageOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    SmokeTest,
    UploadModelDataOperator,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import (
    HasFields,
)
from airflow_sm_hosting.sensors import EndpointInServiceSensor
from tests.airflow_versions import DagSerialization
from tests.operators.conftest import IMAGE

OPERATORS = [
    found
    for name in airflow_sm_hosting.__all__
    if isinstance(found := getattr(airflow_sm_hosting, name), type) and issubclass(found, HasFields)
]


# What follows from a declaration


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_template_fields_are_those_that_are_declared(operator: Any) -> None:
    fields = [field for field in operator.fields.declared.values() if field.templated]
    assert operator.template_fields == tuple(field.attribute for field in fields)
    json = {field.attribute: "json" for field in fields if field.json}
    assert operator.template_fields_renderers == json


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_every_own_parameter_is_declared(operator: Any) -> None:
    init = inspect.signature(getattr(operator.__init__, "__wrapped__", operator.__init__))
    others = {"self", "kwargs", "botocore_config", "statistic", "period", "poke_interval"}
    assert set(init.parameters) - others <= set(operator.fields.declared)


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_a_constructors_default_is_the_fields(operator: Any) -> None:
    init = inspect.signature(getattr(operator.__init__, "__wrapped__", operator.__init__))
    for name, field in operator.fields.declared.items():
        parameter = init.parameters.get(name)
        if parameter is None or field.required or name in ("builder", "deferrable", "aws_conn_id"):
            continue  # of Airflow's configuration, or of the base
        nothing = (None, ()) if isinstance(field.default, list | dict) else (field.default,)
        assert parameter.default in nothing, name


def test_no_operator_says_for_itself_what_jinja_makes_of_none() -> None:
    folder = Path(airflow_sm_hosting.__file__).parent
    against = [
        str(path.relative_to(folder))
        for part in ("operators", "sensors", "task_groups", "hooks")
        for path in (folder / part).rglob("*.py")
        if re.search(r"""\(.*["']None["'].*\)""", path.read_text()) and path.name != "references.py"
    ]
    assert against == []


def test_what_airflow_does_not_render_must_be_literal() -> None:
    containers = [ContainerDefinition(image=IMAGE)]
    with pytest.raises(InvalidSpecError, match=r"unique_name is .*Airflow does not render it"):
        CreateModelOperator(task_id="t", model_name="m", containers=containers, unique_name="{{ x }}")


def test_a_path_with_a_url_names_the_url_and_the_way_out() -> None:
    with pytest.raises(InvalidSpecError, match=r"path is 's3://b/k'.*ModelData\.from_prefix"):
        UploadModelDataOperator(task_id="t", path="s3://b/k", bucket_name="b")


def test_on_smoke_failure_wants_a_smoke_test() -> None:
    names = {"endpoint_name": "e", "endpoint_config_name": "c", "on_smoke_failure": "rollback"}
    with pytest.raises(InvalidSpecError, match="on_smoke_failure is 'rollback', but there is no smoke_test"):
        DeployEndpointOperator(task_id="t", **names)
    DeployEndpointOperator(task_id="t", **names, smoke_test=SmokeTest(body="x"))


# What Airflow is told of a task


class Other(BaseOperator):
    def execute(self, context: Any) -> None:
        return None


def chain() -> list[Any]:
    container = ContainerDefinition(image=IMAGE, model_data="s3://models/churn/model.tar.gz")
    variant = InstanceProductionVariant(model_name="m", variant_name="v", instance_type="ml.m5.large")
    return [
        CreateModelOperator(task_id="a", model_name="m", containers=[container], execution_role="r"),
        CreateEndpointConfigOperator(task_id="b", endpoint_config_name="c", production_variants=[variant]),
        DeployEndpointOperator(task_id="c", endpoint_name="e", endpoint_config_name="c"),
    ]


def test_airflow_is_told_what_was_given_and_no_default() -> None:
    with DAG("d", schedule=None) as dag:
        tasks = chain()
    assert [task.template_fields for task in tasks] == [
        ("model_name", "containers", "execution_role"),
        ("endpoint_config_name", "production_variants"),
        ("endpoint_name", "endpoint_config_name"),
    ]
    assert tasks[0].template_fields_renderers == {"containers": "json"}
    assert (tasks[2].adopt, tasks[2].poll_interval, tasks[2].aws_conn_id) == (False, 30, "aws_default")
    text = json.dumps([task["__var"] for task in DagSerialization.to_dict(dag)["dag"]["tasks"]])
    # 2,535 bytes with every default; the Amazon provider's three have 1,769.
    # The asset alias of what changes an endpoint takes 90 of them, and the links of model and config 110.
    assert len(text) < 1_800, len(text)


def test_what_is_the_default_is_not_rendered_and_what_is_set_later_is() -> None:
    with DAG("d", schedule=None):
        task = chain()[2]
        other = Other(task_id="other")
        task.adopt = "{{ params.adopt }}"
        task.tags = {"by": other.output}
    assert set(task.template_fields) == {"endpoint_name", "endpoint_config_name", "adopt", "tags"}
    assert task.upstream_task_ids == {"other"}
    task.tags = None
    assert task.fields.of(render(task, params={"adopt": True})).adopt is True


def test_a_mapped_task_has_all_template_fields() -> None:
    with DAG("d", schedule=None):
        mapped = DeployEndpointOperator.partial(task_id="t", endpoint_config_name="c").expand(
            endpoint_name=["a", "b"]
        )
    assert mapped.template_fields == DeployEndpointOperator.template_fields


def test_a_class_of_ones_own_adds_template_fields() -> None:
    class Mine(DeployEndpointOperator):
        template_fields = (*DeployEndpointOperator.template_fields, "note")

        def __init__(self, *, note: str, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.note = note

    with DAG("d", schedule=None):
        mine = Mine(task_id="t", note="{{ 1 + 1 }}", endpoint_name="e", endpoint_config_name="c")
    assert render(mine).note == "2"


def test_attributes_that_airflow_converts_are_converted() -> None:
    with DAG("d", schedule=None) as dag:
        task = DeployEndpointOperator(
            task_id="t", endpoint_name="e", endpoint_config_name="c", retry_delay=5, retries="2"
        )
    assert (task.retry_delay, task.retries, task.dag) == (timedelta(seconds=5), 2, dag)
    task.retry_delay = 6  # type: ignore[assignment]
    assert task.retry_delay == timedelta(seconds=6)


def test_default_args_give_the_aws_parameters_and_a_tasks_own_win() -> None:
    given = {"aws_conn_id": "mine", "region_name": "eu-west-1", "verify": False, "botocore_config": {"a": 1}}
    with DAG("d", schedule=None, default_args=given):
        tasks = chain()
        own = DeployEndpointOperator(
            task_id="own", endpoint_name="e", endpoint_config_name="c", aws_conn_id=None, region_name=None
        )
    for task in tasks:
        assert task.aws_parameters == given
    assert own.aws_parameters == {**given, "aws_conn_id": None, "region_name": None}
    with DAG("e", schedule=None):
        assert chain()[0].aws_conn_id == "aws_default"


# What Airflow renders


def render(task: Any, **context: Any) -> Any:
    task.render_template_fields({"params": {}, **context})
    return task


def a_name(context: Any, jinja_env: Any) -> str:
    return f"churn-{context['run_id']}-{jinja_env.from_string('{{ 1 + 1 }}').render()}"


def no_name(context: Any, jinja_env: Any) -> str:
    return "no_name"


def test_a_callable_is_called_when_the_task_is_rendered_and_its_value_is_checked() -> None:
    with DAG("d", schedule=None):
        good = EndpointInServiceSensor(task_id="good", endpoint_name=a_name)
        bad = EndpointInServiceSensor(task_id="bad", endpoint_name=no_name)
    assert good.fields.of(render(good, run_id="r1")).endpoint_name == "churn-r1-2"
    with pytest.raises(InvalidSpecError, match="endpoint_name is 'no_name'"):
        bad.fields.of(render(bad))


def test_a_dag_with_callables_serialises() -> None:
    with DAG("d", schedule=None) as dag:
        CreateModelOperator(task_id="t", model_name=a_name, containers=lambda **_: [])
    data = DagSerialization.to_dict(dag)
    assert data["dag"]["tasks"][0]["__var"]["model_name"].endswith("a_name>")
    assert DagSerialization.from_dict(data).task_ids == ["t"]


def test_a_path_may_have_jinja() -> None:
    with DAG("d", schedule=None) as dag:
        task = BuildImageOperator(
            task_id="t", directory=Path("/images") / "{{ params.name }}", repository_name="r"
        )
    assert (
        DagSerialization.to_dict(dag)["dag"]["tasks"][0]["__var"]["directory"] == "/images/{{ params.name }}"
    )
    assert render(task, params={"name": "churn"}).directory == "/images/churn"


def test_native_rendering_leaves_a_text_without_jinja_as_it_was_written() -> None:
    with DAG("d", schedule=None, render_template_as_native_obj=True):
        task = BuildImageOperator(
            task_id="t",
            directory="/images",
            repository_name="r",
            image_tag="1.10",
            build_args={"V": "1.10", "N": "{{ 1 + 1 }}"},
        )
    render(task)
    assert (task.image_tag, task.build_args) == ("1.10", {"V": "1.10", "N": 2})


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
@pytest.mark.parametrize("text", ["1.10", "012345678901", "True", "None", "1e3", "[1,2]", "2026-11-30"])
def test_native_rendering_changes_no_literal_at_any_depth_of_any_field(operator: Any, text: str) -> None:
    dag = DAG("d", schedule=None, render_template_as_native_obj=True)
    task = object.__new__(operator)
    object.__setattr__(task, "_dag", dag)
    deep: Any = {"a": [text, {"b": (text,)}], "c": ContainerDefinition(image=text, environment={"V": text})}
    rendered = operator.render_template(task, deep, {}, dag.get_template_env())
    assert rendered == {"a": [text, {"b": (text,)}], "c": {"Image": text, "Environment": {"V": text}}}
    assert operator.render_template(task, "{{ 1 + 1 }}", {}, dag.get_template_env()) == 2


def test_delimiters_of_a_dags_own_are_rendered() -> None:
    options = {"variable_start_string": "[[", "variable_end_string": "]]"}
    with DAG("d", schedule=None, jinja_environment_kwargs=options):
        task = BuildImageOperator(
            task_id="t", directory="/images", repository_name="r", build_args={"V": "[[ params.v ]]"}
        )
    assert render(task, params={"v": 5}).build_args == {"V": "5"}


# What a type checker says

CALLS = """
from datetime import timedelta
from pathlib import Path
from airflow.sdk import Context
from airflow_sm_hosting.operators.build_image import BuildImageOperator
from airflow_sm_hosting.operators.create_endpoint_config import CreateEndpointConfigOperator
from airflow_sm_hosting.operators.create_model import CreateModelOperator
from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointOperator
from airflow_sm_hosting.spec.container import ContainerDefinition
from airflow_sm_hosting.spec.variant import InstanceProductionVariant

def name(*, context: Context, jinja_env: object) -> str:
    return "churn"

model = CreateModelOperator(task_id="a", model_name=name, containers=[ContainerDefinition(image="a:1"), {"Image": "b:1"}])
config = CreateEndpointConfigOperator(
    task_id="b", endpoint_config_name="c", production_variants=[InstanceProductionVariant(model_name=model.output, variant_name="v")]
)
DeployEndpointOperator(
    task_id="c", endpoint_name="{{ params.name }}", endpoint_config_name=config.output, timeout=timedelta(hours=1), adopt=True, poll_interval=5
)
BuildImageOperator(task_id="d", directory=Path("app"), repository_name="r", build_args={"A": "1"})
"""
WRONG_CALLS = """
CreateModelOperator(task_id="e", model_name=5, containers=[])  # wrong
CreateModelOperator(task_id="e", model_name="m", containers=[], subnets=5)  # wrong
CreateEndpointConfigOperator(task_id="e", endpoint_config_name="c", production_variants=[5])  # wrong
DeployEndpointOperator(task_id="e", endpoint_name="e", endpoint_config_name="c", timeout=[1])  # wrong
DeployEndpointOperator(task_id="e", endpoint_name="e", endpoint_config_name="c", adopt=None, rollout=5)  # wrong
BuildImageOperator(task_id="e", directory=5, repository_name="r")  # wrong
"""


@pytest.mark.slow
def test_a_type_checker_takes_right_calls_and_finds_wrong_ones(tmp_path: Path) -> None:
    root = Path(airflow_sm_hosting.__file__).parent.parent
    file = tmp_path / "calls.py"
    file.write_text(CALLS + WRONG_CALLS)
    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(file)],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=280,
    )
    lines = [int(number) for number in re.findall(r"calls\.py:(\d+): error", found.stdout)]
    wrong = [
        number for number, line in enumerate(file.read_text().splitlines(), 1) if line.endswith("# wrong")
    ]
    assert sorted(set(lines)) == wrong, found.stdout


def test_all_faults_of_a_tasks_literals_are_told_at_once() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        DeployEndpointOperator(
            task_id="deploy",
            endpoint_name="a_b",
            endpoint_config_name="c",
            adopt="no",
            timeout=0,
            tags={"aws:x": "y"},
        )
    lines = str(caught.value).splitlines()
    assert [line.partition(" is ")[0] for line in lines] == [
        "DeployEndpointOperator: endpoint_name",
        "DeployEndpointOperator: adopt",
        "a key of DeployEndpointOperator: tags",
        "DeployEndpointOperator: timeout",
    ]


def test_all_faults_of_rendered_values_are_told_at_once() -> None:
    with DAG("faults", schedule=None):
        task = BuildImageOperator(
            task_id="build",
            directory="serving",
            repository_name="{{ 'Team' }}",
            image_tag="{{ 'a b' }}",
            platform="{{ 'linux/x' }}",
            builder="assembler",
        )
    task.render_template_fields({})
    with pytest.raises(InvalidSpecError) as caught:
        BuildImageOperator.fields.of(task)
    assert [line.partition(" is ")[0] for line in str(caught.value).splitlines()] == [
        "repository_name",
        "platform",
        "image_tag",
    ]
