"""ModelHostingTaskGroup: each part of a release is laid out if it is asked for, in the right order, and mistakes are told at parse."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, task_group

from airflow_sm_hosting import (
    ComputeRequirements,
    ContainerDefinition,
    ContainerImage,
    DeployInferenceComponentOperator,
    EndpointMetric,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    ModelData,
    ModelHostingTaskGroup,
    SmokeTest,
)
from airflow_sm_hosting.exceptions import InvalidSpecError

ROOT = Path(__file__).parents[3]
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:" + "a" * 64
ALARM: dict[str, Any] = {
    "variant_name": "main",
    "metric": EndpointMetric.model_latency(),
    "threshold": 100_000,
    "evaluation_periods": 1,
}


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("releases", schedule=None) as made:
        yield made


def release(**options: Any) -> ModelHostingTaskGroup:
    return ModelHostingTaskGroup(
        **{
            "endpoint_name": "churn",
            "models": {"churn": [ContainerDefinition(image=IMAGE, model_data="s3://models/m.tar.gz")]},
            "production_variants": [
                InstanceProductionVariant(
                    model_name="churn", variant_name="main", instance_type="ml.m5.large"
                )
            ],
            **options,
        }
    )


def llm(**options: Any) -> ModelHostingTaskGroup:
    """Return a group with a component and two adapters."""
    return ModelHostingTaskGroup(
        **{
            "endpoint_name": "llm",
            "models": {"llama": [ContainerDefinition(image=IMAGE)]},
            "production_variants": [
                InstanceProductionVariant(variant_name="main", instance_type="ml.g5.2xlarge")
            ],
            "components": {
                "llama": InferenceComponentSpecification(
                    model_name="llama", requirements=ComputeRequirements(min_memory_in_mb=1024)
                )
            },
            "adapters": {"llama": {"fr": "s3://models/fr.tar.gz", "de": ModelData.from_asset("de")}},
            "execution_role": "Hosting",
            "bucket_name": "models",
            **options,
        }
    )


def edges(dag: DAG) -> dict[str, set[str]]:
    def short(task_id: str) -> str:
        return task_id.removeprefix("model_hosting.")

    return {short(one.task_id): {short(name) for name in one.upstream_task_ids} for one in dag.tasks}


def test_nothing_is_laid_out_that_is_not_asked_for(dag: DAG) -> None:
    release()
    assert set(edges(dag)) == {"create_model", "create_endpoint_config", "deploy_endpoint"}


def test_the_whole_release_is_in_order(dag: DAG) -> None:
    release(
        execution_role="Hosting",
        role_options={"model_data": ["s3://models/churn/"]},
        register={"create_group": True, "approval_status": "PendingManualApproval"},
        rollback_alarms=[ALARM, {**ALARM, "alarm_name": "second"}],
        approval={"response_timeout": None},
        smoke_test={"body": "1"},
        scaling={"main": {"max_capacity": 2}},
        alarms=[{**ALARM, "alarm_name": "third"}],
        dashboard=True,
        clean_up=True,
    )
    found = edges(dag)
    assert found == {
        "ensure_execution_role": set(),
        "register_model": set(),
        "wait_for_approval": {"register_model"},
        "create_model": {"ensure_execution_role", "register_model", "wait_for_approval"},
        "create_endpoint_config": {"create_model"},
        "create_rollback_alarm_1": set(),
        "create_rollback_alarm_2": set(),
        "plan": {"create_endpoint_config", "create_rollback_alarm_1", "create_rollback_alarm_2"},
        "approve": {"plan"},
        "deploy_endpoint": {
            "create_endpoint_config",
            "create_rollback_alarm_1",
            "create_rollback_alarm_2",
            "approve",
        },
        "smoke_test": {"deploy_endpoint"},
        "configure_autoscaling": {"deploy_endpoint", "smoke_test"},
        "create_alarm": {"deploy_endpoint", "smoke_test"},
        "create_dashboard": {
            "deploy_endpoint",
            "configure_autoscaling",
            "create_alarm",
            "create_rollback_alarm_1",
            "create_rollback_alarm_2",
        },
        "clean_up": {"create_dashboard"},
    }
    shown = dag.get_task("model_hosting.create_dashboard").alarm_names
    assert [one.operator.task_id.split(".")[1] for one in shown] == [
        "create_rollback_alarm_1",
        "create_rollback_alarm_2",
        "create_alarm",
    ]
    approve = dag.get_task("model_hosting.approve")
    assert approve.subject == "Deploy to endpoint churn?"
    assert approve.body == dag.get_task("model_hosting.plan").output
    assert approve.response_timeout is None
    assert dag.get_task("model_hosting.clean_up").is_dry_run is False


def test_an_approval_ends_by_itself_without_a_deployment(dag: DAG) -> None:
    release(approval=True)
    approve = dag.get_task("model_hosting.approve")
    assert approve.response_timeout.total_seconds() == 24 * 3600
    # Without a default answer, Airflow fails a task that nobody has answered in time.
    assert not approve.defaults


def test_a_plan_alone_holds_nothing_up(dag: DAG) -> None:
    release(plan=True)
    assert edges(dag)["deploy_endpoint"] == {"create_endpoint_config", "plan"}


def test_shadow_variants_are_in_the_config(dag: DAG) -> None:
    release(
        models={
            name: [ContainerDefinition(image=IMAGE, model_data=f"s3://models/{name}.tar.gz")]
            for name in ("churn", "next")
        },
        shadow_production_variants=[
            InstanceProductionVariant(model_name="next", variant_name="shadow", instance_type="ml.m5.large")
        ],
    )
    config = dag.get_task("model_hosting.create_endpoint_config")
    assert edges(dag)["create_endpoint_config"] == {"create_model_churn", "create_model_next"}
    [shadow] = config.shadow_production_variants
    assert shadow["ModelName"] == dag.get_task("model_hosting.create_model_next").output


def test_components_follow_the_endpoint_and_adapters_their_base(dag: DAG) -> None:
    made = llm(
        scaling={"llama": {"max_capacity": 2, "min_capacity": 1}},
        alarms=[
            {**ALARM, "variant_name": None, "inference_component_name": "llama", "check_endpoint": False}
        ],
        component_options={"copy_count": 1, "poll_interval": 5},
    )
    found = edges(dag)
    assert found["deploy_component_llama"] == {"deploy_endpoint", "create_model"}
    assert found["deploy_component_fr"] == {"deploy_component_llama", "deploy_endpoint"}
    assert found["deploy_component_de"] == {"deploy_component_llama", "deploy_endpoint", "upload_model_data"}
    both = {"deploy_component_llama", "deploy_component_fr", "deploy_component_de"}
    assert found["configure_autoscaling"] == {*both, "deploy_endpoint"}
    assert found["create_alarm"] == {*both, "deploy_endpoint"}
    base, adapter = made.components["llama"], made.components["fr"]
    assert isinstance(base, DeployInferenceComponentOperator)
    assert (base.variant_name, base.copy_count, base.poll_interval) == ("main", 1, 5)
    assert (adapter.copy_count, adapter.poll_interval) == (None, 5)
    assert adapter.specification == {
        "BaseInferenceComponentName": "llama",
        "Container": {"ArtifactUrl": "s3://models/fr.tar.gz"},
    }
    # Its config needs the role, and so does the model.
    assert dag.get_task("model_hosting.create_endpoint_config").execution_role == "Hosting"


@pytest.mark.parametrize("tested", ["llama", "fr", "{{ params.component }}"])
def test_a_component_is_tested_after_it_is_deployed(dag: DAG, tested: str) -> None:
    llm(
        smoke_test={"body": "1", "inference_component_name": tested},
        scaling={"llama": {"max_capacity": 2, "min_capacity": 1}},
        clean_up=True,
    )
    found = edges(dag)
    deployed = {"deploy_component_llama", "deploy_component_fr", "deploy_component_de"}
    assert found["smoke_test"] == {*deployed, "deploy_endpoint"}
    assert found["deploy_component_llama"] == {"deploy_endpoint", "create_model"}
    assert found["configure_autoscaling"] == {*deployed, "deploy_endpoint", "smoke_test"}


def test_parameters_of_a_component(dag: DAG) -> None:
    needs = ComputeRequirements(min_memory_in_mb=1024)
    made = llm(
        components={
            "llama": {
                "specifications": [
                    InferenceComponentSpecification(
                        model_name="llama", requirements=needs, instance_type="ml.g5.2xlarge"
                    )
                ],
                "smoke_test": SmokeTest(body="1"),
            }
        },
        adapters={},
    )
    specifications: Any = made.components["llama"].specifications
    [one] = specifications
    assert one["ModelName"] == dag.get_task("model_hosting.create_model").output
    assert type(one) is InferenceComponentSpecification


def test_the_image_of_a_component_is_built_and_its_artifact_uploaded(dag: DAG) -> None:
    made = llm(
        models={},
        components={
            "llama": InferenceComponentSpecification(
                image=ContainerImage.from_asset("app"),
                artifact_url=ModelData.from_asset("model"),
                requirements=ComputeRequirements(min_memory_in_mb=1024),
            )
        },
        adapters={},
        repository_name="llama",
    )
    assert edges(dag)["deploy_component_llama"] == {"build_image", "upload_model_data", "deploy_endpoint"}
    specification: Any = made.components["llama"].specification
    assert specification["Container"]["Image"] == dag.get_task("model_hosting.build_image").output


def test_a_group_is_mapped_over_tenants(dag: DAG) -> None:
    @task_group
    def tenant(name: str) -> None:
        release(endpoint_name=name)

    tenant.expand(name=["a", "b", "c"])
    deploy = dag.get_task("tenant.model_hosting.deploy_endpoint")
    assert next(deploy.iter_mapped_task_groups()) is not None


def test_a_factory_makes_a_group_for_each_team(dag: DAG) -> None:
    for team in ("ads", "search"):
        release(group_id=team, endpoint_name=f"{team}-churn", tags={"team": team})
    assert dag.get_task("ads.deploy_endpoint").endpoint_name == "ads-churn"
    assert dag.get_task("search.create_model").tags == {"team": "search"}


MODEL_OF_ITS_OWN = InstanceProductionVariant(
    model_name="llama", variant_name="main", instance_type="ml.g5.2xlarge"
)
HOST = InstanceProductionVariant(variant_name="main", instance_type="ml.g5.2xlarge")
SPECIFICATION = InferenceComponentSpecification(
    model_name="llama", requirements=ComputeRequirements(min_memory_in_mb=1024)
)


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"execution_role": None}, "variant main has no model, and execution_role is missing"),
        ({"production_variants": [MODEL_OF_ITS_OWN]}, "each variant has a model of its own"),
        ({"adapters": {"other": {"fr": "s3://m/fr.tar.gz"}}}, "adapters names the base .other..*: llama"),
        (
            {"components": {"llama": {"specification": SPECIFICATION, "variant_name": "other"}}},
            "components.'llama'. is on variant 'other'; allowed: a variant without a model: main",
        ),
        (
            {"production_variants": [HOST, {**HOST, "VariantName": "second"}]},
            "components.'llama'. has no variant_name; allowed: one of main, second",
        ),
        ({"components": {"llama": 5}}, "components.'llama'."),
        ({"components": {"main": SPECIFICATION}, "adapters": {}}, "have the same names: main"),
        ({"scaling": {"other": {"max_capacity": 1}}}, "scaling: there is no variant 'other'"),
        (
            {"alarms": [{**ALARM, "variant_name": None, "inference_component_name": "x"}]},
            "alarms: there is no inference component 'x'.* llama, main",
        ),
        (
            {
                "endpoint_config_options": {
                    "async_inference_config": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}
                }
            },
            "the endpoint is asynchronous",
        ),
        ({"smoke_test": {"body": "1"}}, "smoke_test names no inference_component_name"),
        (
            {"smoke_test": {"body": "1", "inference_component_name": "other"}},
            "smoke_test invokes inference component 'other'; components and adapters have: llama, fr, de",
        ),
        ({"register": {}, "models": {}}, "register is given without models"),
        ({"register": {"approval_status": "Rejected"}}, "as no model is made of a rejected version"),
        ({"deploy_options": {"wait_for_completion": False}}, "components need the endpoint in service"),
        ({"role_options": {}, "execution_role": "arn:aws:iam::123456789012:role/r"}, "the name of the role"),
    ],
)
def test_what_does_not_fit_is_told_at_parse(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        llm(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clean_up": None}, "clean_up is None; allowed: True, False, or a dict"),
        ({"clean_up": "False"}, "clean_up is 'False'; allowed: True, False, or a dict"),
        ({"clean_up": "{{ params.clean }}"}, "clean_up is .*laid out while its file is parsed"),
        ({"approval": None}, "approval is None"),
        ({"approval": 0}, "approval is 0"),
        ({"plan": "False"}, "plan is 'False'; allowed: True or False"),
        ({"register": True}, "register is True; allowed: a dict"),
        ({"alarms": None}, "alarms is None; allowed: a list of dicts"),
        ({"alarms": ALARM}, "alarms is .*; allowed: a list of dicts"),
        ({"rollback_alarms": [None]}, r"rollback_alarms\[0\] is None; allowed: a dict"),
        ({"scaling": {"main": None}}, r"scaling\['main'\] is None"),
        ({"deploy_options": []}, r"deploy_options is \[\]; allowed: a dict"),
        ({"smoke_test": True}, "smoke_test is True"),
        (
            {"models": {"churn": ContainerDefinition(image=IMAGE)}},
            r"models\['churn'\] is .*; allowed: a list",
        ),
        ({"models": []}, r"models is \[\]; allowed: a dict"),
        ({"smoke_test": SmokeTest(body="1")}, "smoke_test is a SmokeTest.*deploy_options="),
        ({"plan": 1, "clean_up": None}, "plan is 1(.|\n)*clean_up is None"),
    ],
)
def test_a_value_of_another_kind_is_told_at_parse(dag: DAG, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        release(**options)
    assert dag.task_ids == []


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deploy_options": {"endpoint_name": "other"}}, "deploy_options has endpoint_name"),
        ({"deploy_options": {"endpoint_config_name": "other"}}, "deploy_options has endpoint_config_name"),
        ({"deploy_options": {"region_name": "eu-west-1"}}, "deploy_options has region_name"),
        ({"model_options": {"model_name": "other"}}, "model_options has model_name"),
        (
            {"scaling": {"main": {"variant_name": "other", "max_capacity": 1}}},
            "scaling.'main'. has variant_name",
        ),
        ({"smoke_test": {"endpoint_name": "other", "body": "1"}}, "smoke_test has endpoint_name"),
        (
            {
                "shadow_production_variants": [
                    InstanceProductionVariant(model_name="churn", variant_name="shadow")
                ],
                "endpoint_config_options": {"shadow_production_variants": []},
            },
            "endpoint_config_options has shadow_production_variants",
        ),
    ],
)
def test_what_the_group_gives_its_tasks_is_given_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        release(**options)


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    "adapters",
    [
        {"llama": {"llama": "s3://models/fr.tar.gz"}},
        {"llama": {"fr": "s3://models/fr.tar.gz"}, "second": {"fr": "s3://models/fr.tar.gz"}},
    ],
    ids=["that of the base", "that of another adapter"],
)
def test_names_of_adapters_are_different(adapters: dict[str, Any]) -> None:
    components = {"llama": SPECIFICATION, "second": SPECIFICATION}
    with pytest.raises(InvalidSpecError, match="is the name of another component or adapter"):
        llm(adapters=adapters, components=components)


def story(source: str) -> list[str]:
    """Return the lines of a DAG file that tell what is deployed: all but imports, docstrings, comments and empty lines."""
    tree = ast.parse(source)
    left_out = {
        line
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    lines = enumerate(source.splitlines(), 1)
    return [
        line for number, line in lines if number not in left_out and line.strip() and line.strip()[0] != "#"
    ]


def test_the_whole_story_takes_twenty_lines() -> None:
    text = (ROOT / "docs" / "operators.md").read_text().partition("<!-- the whole story -->")[2]
    source = text.partition("```python\n")[2].partition("```")[0]
    assert len(story(source)) <= 20
    made: dict[str, Any] = {}
    exec(source.replace('"@weekly"):', '"@weekly") as dag:'), made)
    assert set(edges(made["dag"])) == {
        "build_image",
        "upload_model_data",
        "create_model",
        "create_endpoint_config",
        "deploy_endpoint",
        "smoke_test",
        "configure_autoscaling",
        "create_alarm",
    }


def test_the_story_of_a_language_model_takes_forty_lines() -> None:
    source = (ROOT / "dags" / "llm_from_zero.py").read_text()
    constants, _, rest = source.partition("with DAG(")
    group = rest.partition("    ModelHostingTaskGroup(")[2].splitlines()
    assert len(story(constants)) + 2 + len(group) <= 40  # with the lines that open the DAG and the group
