"""Why spec objects are dicts: Airflow sees through them. No Airflow database is needed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, literal, task
from airflow.sdk.bases.operator import BaseOperator
from airflow.sdk.execution_time.task_runner import _serialize_rendered_fields
from airflow.serialization.helpers import serialize_template_field

from airflow_sm_hosting import (
    AllAtOnce,
    BuildImageOperator,
    Canary,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    ContainerImage,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    EndpointMetric,
    InstanceProductionVariant,
    InvocationsScaling,
    Linear,
    ModelData,
    ModelHostingTaskGroup,
    Rolling,
    ScaleFromZero,
    ServerlessProductionVariant,
    WorkingHours,
)
from airflow_sm_hosting.exceptions import TROUBLESHOOTING, InvalidSpecError
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rollout import longest_seconds
from airflow_sm_hosting.spec.secret import reveal_environments
from tests.airflow_versions import DagBag, DagSerialization

SECRET = "hunter2-and-more"
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn:1"


class Upstream(BaseOperator):
    def execute(self, context: Any) -> Any:
        raise AssertionError("no task runs here")


class FakeLate:
    """Stands for the XCom of another task, which needs an API server."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def iter_references(self) -> Any:
        return iter(())

    def resolve(self, context: Any) -> Any:
        return self.value


def context(operator: Any, *, map_index: int = -1, **params: Any) -> Any:
    """A context as far as rendering needs it."""
    ti = SimpleNamespace(map_index=map_index, run_id="r", dag_id="d")
    dag = operator.get_dag()
    run = SimpleNamespace(conf={}, run_id="r")
    return {"ti": ti, "task_instance": ti, "dag": dag, "dag_run": run, "params": params, "given": params}


def rendered(operator: Any, **values: Any) -> Any:
    """Render as a worker does, and return the task whose fields were rendered."""
    whole = context(operator, **values)
    operator.render_template_fields(whole)
    return whole.get("task", operator)


def model(task_id: str = "model", *, containers: Any) -> CreateModelOperator:
    return CreateModelOperator(task_id=task_id, model_name="churn", containers=containers)


@pytest.fixture
def dag() -> Any:
    with DAG("d", schedule=None) as dag:
        yield dag


# Jinja renders


@pytest.mark.usefixtures("dag")
def test_jinja_inside_a_container_renders() -> None:
    container = ContainerDefinition(
        image=ContainerImage.from_ecr_repository("churn", "{{ params.tag }}"),
        model_data=ModelData.from_bucket("models", "{{ params.run }}/model.tar.gz"),
        environment={"RUN": "{{ params.run }}"},
    )
    done = rendered(model(containers=[container]), tag="v7", run="r1")
    (found,) = reveal_environments(done.containers)
    assert found["Image"]["Tag"] == "v7"
    assert kind_of(found["Image"]) == "EcrImage"
    assert found["ModelDataUrl"]["Key"] == "r1/model.tar.gz"
    assert found["Environment"] == {"RUN": "r1"}
    assert container["Environment"] == {"RUN": "{{ params.run }}"}


@pytest.mark.usefixtures("dag")
def test_jinja_inside_variants_renders() -> None:
    operator = CreateEndpointConfigOperator(
        task_id="config",
        endpoint_config_name="churn",
        production_variants=[
            InstanceProductionVariant(
                model_name="{{ params.model }}",
                variant_name="main",
                initial_instance_count="{{ params.count }}",
                container_startup_health_check_timeout="{{ params.timeout }}",
            )
        ],
    )
    (variant,) = rendered(operator, model="churn-1", count=3, timeout=90).production_variants
    assert (variant["ModelName"], variant["InitialInstanceCount"]) == ("churn-1", "3")
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == "90"


@pytest.mark.usefixtures("dag")
def test_jinja_inside_metric_scaling_and_rollout_renders() -> None:
    alarm = CreateEndpointAlarmOperator(
        task_id="alarm",
        endpoint_name="churn",
        variant_name="main",
        metric=EndpointMetric.custom("{{ params.space }}", "Rows"),
        threshold="{{ params.limit }}",
        evaluation_periods="{{ params.periods }}",
    )
    done = rendered(alarm, space="Team", limit=5, periods=3)
    request = done._request()
    assert (request["Namespace"], request["Threshold"], request["EvaluationPeriods"]) == ("Team", 5.0, 3)
    scaling = ConfigureAutoscalingOperator(
        task_id="scaling",
        endpoint_name="churn",
        variant_name="main",
        max_capacity=3,
        policies=[InvocationsScaling(max_requests_per_second="{{ params.rate }}")],
    )
    assert rendered(scaling, rate=30).policies[0]["MaxRequestsPerSecond"] == "30"
    deploy = DeployEndpointOperator(
        task_id="deploy",
        endpoint_name="churn",
        endpoint_config_name="churn-1",
        rollout=Canary(
            size="10%", wait_interval="{{ params.wait }}", auto_rollback_alarms=["{{ params.alarm }}"]
        ),
    )
    rollout = rendered(deploy, wait=60, alarm="latency").rollout
    assert rollout["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "latency"}]}


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("rollout", "path"),
    [
        (Canary(size="{{ params.size }}", wait_interval=60), ["BlueGreenUpdatePolicy", "TrafficRoutingConfiguration", "CanarySize"]),
        (Rolling(maximum_batch_size="{{ params.size }}", wait_interval=60), ["RollingUpdatePolicy", "MaximumBatchSize"]),
    ],
    ids=["canary", "rolling"],
)  # fmt: skip
def test_a_rendered_size_of_a_step_is_what_the_literal_would_be(rollout: Any, path: list[str]) -> None:
    from airflow_sm_hosting.service_model.request import validated_request

    deploy = DeployEndpointOperator(
        task_id="deploy", endpoint_name="churn", endpoint_config_name="churn-1", rollout=rollout
    )
    done = rendered(deploy, size="10%")
    longest_seconds(done.rollout)
    request = {"EndpointName": "e", "EndpointConfigName": "c", "DeploymentConfig": done._deployment_config()}
    found = validated_request("sagemaker", "UpdateEndpoint", request)["DeploymentConfig"]
    for member in path:
        found = found[member]
    assert found == {"Type": "CAPACITY_PERCENT", "Value": 10}


# XComArgs make edges, and resolve


def test_an_xcom_arg_inside_makes_the_upstream_edge(dag: DAG) -> None:
    image, data, env, host = (Upstream(task_id=name) for name in ("image", "data", "env", "host"))
    container = ContainerDefinition(
        image=image.output,
        model_data=ModelData.from_bucket("models", data.output),
        environment={"TOKEN": env.output["token"]},
        container_hostname=host.output,
    )
    operator = model(containers=[container])
    assert operator.upstream_task_ids == {"image", "data", "env", "host"}
    config = CreateEndpointConfigOperator(
        task_id="config",
        endpoint_config_name="churn",
        production_variants=[InstanceProductionVariant(model_name=operator.output, variant_name="main")],
    )
    assert config.upstream_task_ids == {"model"}
    assert dag.task_ids


@pytest.mark.parametrize(
    "make",
    [
        lambda late: ServerlessProductionVariant(model_name="m", variant_name="v", max_concurrency=late, memory_size_in_mb=late),
        lambda late: InstanceProductionVariant(model_name="m", variant_name="v", container_startup_health_check_timeout=late),
    ],
    ids=["serverless", "instance"],
)  # fmt: skip
@pytest.mark.usefixtures("dag")
def test_an_xcom_arg_deep_inside_a_variant_makes_the_edge(make: Any) -> None:
    late = Upstream(task_id="late").output
    config = CreateEndpointConfigOperator(
        task_id="config", endpoint_config_name="churn", production_variants=[make(late)]
    )
    assert config.upstream_task_ids == {"late"}


@pytest.mark.usefixtures("dag")
def test_an_xcom_arg_inside_rollout_metric_and_policy_makes_the_edge() -> None:
    late = Upstream(task_id="late").output
    names = {"endpoint_name": "churn", "variant_name": "main"}
    operators = [
        DeployEndpointOperator(task_id="a", endpoint_name="churn", endpoint_config_name="c", rollout=AllAtOnce(auto_rollback_alarms=[late])),
        CreateEndpointAlarmOperator(task_id="b", **names, metric=EndpointMetric.custom("T", late), threshold=1, evaluation_periods=1),
        CreateLatencyAlarmOperator(task_id="c", **names, threshold=late, evaluation_periods=1),
        ConfigureAutoscalingOperator(task_id="d", **names, max_capacity=2, policies=[InvocationsScaling(max_requests_per_second=late)]),
    ]  # fmt: skip
    assert all(operator.upstream_task_ids == {"late"} for operator in operators)


@pytest.mark.usefixtures("dag")
def test_what_upstream_returned_stands_in_the_request() -> None:
    container = ContainerDefinition(
        image=FakeLate(IMAGE), environment={"TOKEN": FakeLate(SECRET), "N": FakeLate(5)}
    )
    done = rendered(model(containers=[container]))
    assert reveal_environments(done.containers) == [
        {"Image": IMAGE, "Environment": {"TOKEN": SECRET, "N": "5"}}
    ]
    assert SECRET not in shown(done)
    whole = rendered(
        model("whole", containers=FakeLate([{"Image": IMAGE, "Environment": {"TOKEN": SECRET}}]))
    )
    assert SECRET not in shown(whole)


# What Airflow shows


def shown(operator: Any) -> str:
    """Everything that Airflow would show of a rendered task, with the SDK's serialisation and the server's."""
    fields = _serialize_rendered_fields(operator)
    server = {
        name: serialize_template_field(getattr(operator, name), name) for name in operator.template_fields
    }
    return json.dumps([fields, server])


def environment_shown(operator: Any) -> Any:
    """Return the environment of the first container as Airflow shows it."""
    containers = _serialize_rendered_fields(operator)["containers"]
    if isinstance(containers, str):
        # Airflow 3.1 shows a field with values of its own kind as a text.
        return {"A": "***"} if "'Environment': {'A': ***}" in containers else containers
    return containers[0]["Environment"]


@pytest.mark.usefixtures("dag")
def test_rendered_templates_show_json() -> None:
    operator = CreateEndpointConfigOperator(
        task_id="config",
        endpoint_config_name="churn",
        production_variants=[InstanceProductionVariant(model_name="{{ params.model }}", variant_name="main")],
    )
    fields = _serialize_rendered_fields(rendered(operator, model="churn-1"))
    assert fields["production_variants"] == [
        {
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
            "InstanceType": "ml.t2.medium",
            "ModelName": "churn-1",
            "VariantName": "main",
        }
    ]
    assert operator.template_fields_renderers["production_variants"] == "json"


ENVIRONMENTS = {
    "a literal": ({"A": SECRET}, {}),
    "jinja": ({"A": "{{ params.secret }}"}, {"secret": SECRET}),
    "jinja with more around it": ({"A": "key={{ params.secret }}"}, {"secret": SECRET}),
    "a number": ({"A": 74_119_274}, {}),
    "airflow's literal()": ({"A": literal(SECRET)}, {}),
    "a secret with braces": ({"A": "{{ params.secret }}"}, {"secret": SECRET + "{{x}}"}),
    "a secret with a brace and a percent sign": ({"A": "{{ params.secret }}"}, {"secret": SECRET + "{%"}),
    "a secret with a brace and a hash": ({"A": "{{ params.secret }}"}, {"secret": SECRET + "{#"}),
}


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(("environment", "params"), ENVIRONMENTS.values(), ids=ENVIRONMENTS.keys())
def test_environment_values_are_shown_as_stars(environment: dict[str, Any], params: dict[str, Any]) -> None:
    operator = model(containers=[ContainerDefinition(image=IMAGE, environment=environment)])
    done = rendered(operator, **params)
    assert SECRET not in shown(done)
    assert "74119274" not in shown(done)
    assert environment_shown(done) == {"A": "***"}
    assert IMAGE in shown(done)
    (container,) = reveal_environments(done.containers)
    assert container["Environment"]["A"] != "***"


@pytest.mark.parametrize(
    "value", [[SECRET], {"password": SECRET}, SECRET.encode()], ids=["list", "dict", "bytes"]
)
def test_values_of_other_kinds_that_upstream_returned_are_shown_as_stars_too(dag: DAG, value: Any) -> None:
    dag.render_template_as_native_obj = True
    operator = model(containers=[ContainerDefinition(image=IMAGE, environment={"A": "{{ params.config }}"})])
    assert SECRET not in shown(rendered(operator, config=value))


def test_a_whole_environment_rendered_natively_is_shown_as_stars(dag: DAG) -> None:
    dag.render_template_as_native_obj = True
    operator = model(containers=[ContainerDefinition(image=IMAGE, environment="{{ params.environment }}")])
    done = rendered(operator, environment={"A": SECRET, "B": 5})
    assert SECRET not in shown(done)
    assert reveal_environments(done.containers)[0]["Environment"] == {"A": SECRET, "B": "5"}


@pytest.mark.usefixtures("dag")
def test_environment_values_are_not_in_the_tasks_own_words() -> None:
    done = rendered(model(containers=[ContainerDefinition(image=IMAGE, environment={"A": SECRET})]))
    template = (
        done.get_dag()
        .get_template_env()
        .from_string("{{ task.containers }} {{ task.containers[0].Environment.A }}")
    )
    assert SECRET not in template.render(task=done)
    assert SECRET not in f"{done!r} {done.containers!r}"


# Serialisation with the DAG


def test_a_dag_with_spec_objects_serialises_and_comes_back(dag: DAG) -> None:
    image = Upstream(task_id="image").output
    operator = model(containers=[ContainerDefinition(image=image, environment={"A": SECRET})])
    CreateEndpointConfigOperator(
        task_id="config",
        endpoint_config_name="churn",
        production_variants=[InstanceProductionVariant(model_name=operator.output, variant_name="main")],
    )
    data = DagSerialization.to_dict(dag)
    text = json.dumps(data)
    assert SECRET not in text
    back = DagSerialization.from_dict(json.loads(text))
    assert back.get_task("model").upstream_task_ids == {"image"}
    assert back.get_task("config").upstream_task_ids == {"model"}
    assert "'VariantName': 'main'" in str(back.get_task("config").production_variants)
    assert "***" in str(back.get_task("model").containers)


DAG_FILE = """
from __future__ import annotations
from datetime import timedelta
from airflow.sdk import DAG
from airflow_sm_hosting import *

with DAG("churn", schedule=None) as dag:
    ModelHostingTaskGroup(
        endpoint_name="churn",
        repository_name="churn",
        bucket_name="models",
        models={"churn": [ContainerDefinition(
            image=ContainerImage.from_asset("serving", build_args={"B": "1", "A": "2"}, labels={"y": "1", "x": "2"}),
            model_data=ModelData.from_asset("model"),
            environment={"PASSWORD": "hunter2-and-more", "OTHER": "{{ params.x }}"})]},
        production_variants=[InstanceProductionVariant(model_name="churn", variant_name="main", instance_type="ml.m5.large", initial_instance_count=2)],
        scaling={"main": {"max_capacity": 2, "policies": [InvocationsScaling(max_requests_per_second=30)]}},
        alarms=[{"variant_name": "main", "metric": EndpointMetric.model_latency(statistic="p99"),
                 "threshold": timedelta(milliseconds=200), "evaluation_periods": 3}],
        smoke_test={"body": {"rows": [[1, 2]]}, "expect": [0]},
        deploy_options={"rollout": Canary(size="10%", wait_interval=60, auto_rollback_alarms=["a", "b"])},
        tags={"team": "ml", "app": "churn"},
    )
    CreateModelOperator.partial(task_id="mapped", model_name="churn").expand(
        containers=[[ContainerDefinition(image="a:1")], [ContainerDefinition(image="b:1")]])
"""


def test_serialisation_is_equal_under_two_hash_seeds(tmp_path: Path) -> None:
    (tmp_path / "churn.py").write_text(DAG_FILE)
    script = (
        "import json, runpy; from tests.airflow_versions import DagSerialization; "
        f"dag = runpy.run_path({str(tmp_path / 'churn.py')!r})['dag']; "
        "print('DAG' + json.dumps(DagSerialization.to_dict(dag), sort_keys=True))"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "4242")
    ]
    one, other = (process.communicate(timeout=60)[0].split("DAG", 1)[1] for process in running)
    assert one == other
    assert json.loads(one)["dag"]["dag_id"] == "churn"
    assert " object at 0x" not in one
    assert SECRET not in one


# Mapping


def mapped_task(operator: Any, map_index: int, **values: Any) -> Any:
    return rendered(operator, map_index=map_index, **values)


def test_spec_objects_map(dag: DAG) -> None:
    mapped = CreateEndpointConfigOperator.partial(task_id="config", endpoint_config_name="churn").expand(
        production_variants=[
            [InstanceProductionVariant(model_name=name, variant_name="{{ given.variant }}")] for name in "ab"
        ]
    )
    DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    for index, name in enumerate("ab"):
        (variant,) = mapped_task(mapped, index, variant="main").production_variants
        assert (variant["ModelName"], variant["VariantName"]) == (name, "main")


def mapped_model(how: str) -> Any:
    secrets = [
        [ContainerDefinition(image=IMAGE, environment={"A": f"{SECRET}-{index}"})] for index in range(2)
    ]
    template = "{{ task.containers }} {{ task.containers[0].Environment.A }} {{ task.model_name }}"
    start = {"task_id": "model", "map_index_template": template}
    if how == "expand":
        return CreateModelOperator.partial(**start, model_name="churn").expand(containers=secrets)
    if how == "partial":
        return CreateModelOperator.partial(**start, containers=secrets[0]).expand(model_name=["a", "b"])
    if how == "jinja in partial":
        late = [ContainerDefinition(image=IMAGE, environment={"A": "{{ given.secret }}"})]
        return CreateModelOperator.partial(**start, containers=late).expand(model_name=["a", "b"])
    return CreateModelOperator.partial(**start).expand_kwargs(
        [{"model_name": "a", "containers": secrets[0]}, {"model_name": "b", "containers": secrets[1]}]
    )


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize("how", ["expand", "partial", "jinja in partial", "expand_kwargs"])
def test_environment_values_of_mapped_tasks_are_shown_as_stars(how: str) -> None:
    mapped = mapped_model(how)
    whole = context(mapped, map_index=1, secret=SECRET)
    mapped.render_template_fields(whole)
    done = whole["task"]
    assert SECRET not in shown(done)
    assert environment_shown(done) == {"A": "***"}
    assert SECRET in reveal_environments(done.containers)[0]["Environment"]["A"]
    # As airflow.sdk.execution_time.task_runner._render_map_index does it.
    name = done.get_dag().get_template_env().from_string(mapped.map_index_template).render(whole)
    assert SECRET not in name
    assert "***" in name


@pytest.mark.usefixtures("dag")
def test_what_upstream_returned_to_a_mapped_task_is_no_template() -> None:
    """Airflow renders no value that a mapped task got from upstream: it may hold anything."""

    returned = [{"Image": "{{ params.injected }}", "Environment": {"A": "{{ params.injected }}"}}]
    # As MappedOperator.unmap makes it.
    operator = CreateModelOperator(task_id="model", model_name="churn", containers=returned)
    seen = {id(returned)}
    whole = context(operator, injected="it was rendered")
    environment = operator.get_template_env()
    operator._do_render_template_fields(operator, ["containers"], whole, environment, seen)
    assert reveal_environments(operator.containers) == returned


# Mistakes break the DAG file


BROKEN_FILES = {
    "an instance count of 0": (
        "InstanceProductionVariant(model_name='m', variant_name='v', initial_instance_count=0)",
        "InstanceProductionVariant: initial_instance_count is 0; allowed: a whole number, 1 or more.",
    ),
    "a name with underscores": (
        "DeployEndpointOperator(task_id='t', endpoint_name='my_endpoint', endpoint_config_name='c')",
        "DeployEndpointOperator: endpoint_name is 'my_endpoint'; allowed: 1 to 63 letters, digits and hyphens",
    ),
    "two variants of one name": (
        "CreateEndpointConfigOperator(task_id='t', endpoint_config_name='c', production_variants=["
        "InstanceProductionVariant(model_name='m', variant_name='v')] * 2)",
        "VariantName has 'v' twice",
    ),
    "an image asset": (
        "CreateModelOperator(task_id='t', model_name='m', containers=["
        "ContainerDefinition(image=ContainerImage.from_asset('app'))])",
        "BuildImageOperator",
    ),
    "a model data asset": (
        "CreateModelOperator(task_id='t', model_name='m', containers=["
        "ContainerDefinition(image='a:1', model_data=ModelData.from_asset('m'))])",
        "UploadModelDataOperator",
    ),
    "a rate of 0": ("InvocationsScaling(max_requests_per_second=0)", "max_requests_per_second is 0; allowed: a number, more than 0"),
    "a period of 90 seconds": ("EndpointMetric.invocations(period=90)", "EndpointMetric: period is 90; allowed: 10, 20 or 30"),
    "a canary of 51 %": ("Canary(size='51%', wait_interval=0)", "Canary: size is '51%'; allowed: 1% to 50%"),
    "an alarm that cannot fire": (
        "CreateLatencyAlarmOperator(task_id='t', endpoint_name='e', variant_name='v', threshold=1, evaluation_periods=1, datapoints_to_alarm=2)",
        "CreateLatencyAlarmOperator: datapoints_to_alarm is 2 of 1 evaluation_periods",
    ),
    "a capacity that is upside down": (
        "ConfigureAutoscalingOperator(task_id='t', endpoint_name='e', variant_name='v', min_capacity=3, max_capacity=2)",
        "ConfigureAutoscalingOperator: min_capacity is 3; allowed: at most",
    ),
}  # fmt: skip


GROUP = {
    "endpoint_name": "churn",
    "models": {"churn": [ContainerDefinition(image=IMAGE)]},
}


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    "rollout",
    [
        Canary(size="50%", wait_interval=60),
        Linear(step_size="{{ params.size }}", wait_interval=60),
        Rolling(maximum_batch_size=1, wait_interval=60),
    ],
    ids=["canary", "linear, rendered", "rolling"],
)
@pytest.mark.parametrize(
    "scaling", [None, {"main": {"max_capacity": 3}}, {"main": {"min_capacity": 1, "max_capacity": 3}}]
)
def test_a_group_warns_of_a_rollout_that_one_instance_can_never_use(rollout: Any, scaling: Any) -> None:
    one = InstanceProductionVariant(model_name="churn", variant_name="main", instance_type="ml.m5.large")
    with pytest.warns(
        UserWarning, match=r"no update of this endpoint can use its rollout: .* variant main has one"
    ):
        ModelHostingTaskGroup(
            **GROUP, production_variants=[one], scaling=scaling, deploy_options={"rollout": rollout}
        )


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("count", "scaling", "options"),
    [
        (2, None, {"rollout": Canary(size="50%", wait_interval=60)}),
        (1, None, {"rollout": Canary(size="50%", wait_interval=60), "strict": False}),
        (1, None, {"rollout": Canary(size="50%", wait_interval=60), "strict": "{{ params.strict }}"}),
        (1, None, {"rollout": AllAtOnce()}),
        (1, None, {"rollout": "{{ params.rollout }}"}),
        ("{{ params.count }}", None, {"rollout": Canary(size="50%", wait_interval=60)}),
    ],
)
def test_a_group_does_not_warn_of_a_rollout_that_may_work(
    count: Any, scaling: Any, options: dict[str, Any]
) -> None:
    variant = InstanceProductionVariant(
        model_name="churn", variant_name="main", instance_type="ml.m5.large", initial_instance_count=count
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        ModelHostingTaskGroup(**GROUP, production_variants=[variant], scaling=scaling, deploy_options=options)


def test_a_bad_literal_breaks_the_dag_file_with_a_clear_sentence(tmp_path: Path) -> None:
    for index, (code, _) in enumerate(BROKEN_FILES.values()):
        (tmp_path / f"broken_{index}.py").write_text(
            "from airflow.sdk import DAG\nfrom airflow_sm_hosting import *\n"
            f"with DAG('broken_{index}', schedule=None):\n    {code}\n"
        )
    (tmp_path / "right.py").write_text(DAG_FILE)
    bag = DagBag(str(tmp_path), bundle_path=tmp_path, collect_dags=True)
    errors = {Path(path).name: error for path, error in bag.import_errors.items()}
    assert list(bag.dags) == ["churn"]
    assert set(errors) == {f"broken_{index}.py" for index in range(len(BROKEN_FILES))}
    for index, (name, (_, sentence)) in enumerate(BROKEN_FILES.items()):
        *_, last, note = errors[f"broken_{index}.py"].strip().splitlines()
        assert sentence in last, (name, last)
        assert "InvalidSpecError" in last
        assert note == f"How to resolve it: {TROUBLESHOOTING}#invalidspecerror"


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("container", "operator"),
    [
        (ContainerDefinition(image=ContainerImage.from_asset("app")), "BuildImageOperator"),
        (ContainerDefinition(image=IMAGE, model_data=ModelData.from_asset("m")), "UploadModelDataOperator"),
    ],
    ids=["image", "model data"],
)
def test_an_asset_given_to_create_model_names_the_right_operator(container: Any, operator: str) -> None:
    other = {"BuildImageOperator", "UploadModelDataOperator"} - {operator}
    for form in (container, dict(container)):
        with pytest.raises(InvalidSpecError, match=operator) as caught:
            CreateModelOperator(task_id=f"t{id(form)}", model_name="m", containers=[form])
        assert other.pop() not in str(caught.value) if other else True
        assert "ModelHostingTaskGroup" in str(caught.value)


# The task group


def group(**options: Any) -> ModelHostingTaskGroup:
    container = ContainerDefinition(
        image=ContainerImage.from_asset("serving"), model_data=ModelData.from_asset("model")
    )
    return ModelHostingTaskGroup(
        **{
            "endpoint_name": "churn",
            "repository_name": "churn",
            "bucket_name": "models",
            "models": {"churn": [container]},
            "production_variants": [
                InstanceProductionVariant(
                    model_name="churn", variant_name="main", instance_type="ml.m5.large"
                )
            ],
            **options,
        }
    )


def edges(dag: DAG) -> dict[str, set[str]]:
    short = lambda task_id: task_id.removeprefix("model_hosting.")  # noqa: E731
    return {short(one.task_id): {short(name) for name in one.upstream_task_ids} for one in dag.tasks}


def test_the_task_group_lays_out_the_chain(dag: DAG) -> None:
    group(
        scaling={"main": {"max_capacity": 2}},
        alarms=[
            {
                "variant_name": "main",
                "metric": EndpointMetric.invocations(),
                "threshold": 1,
                "evaluation_periods": 1,
            }
        ],
        smoke_test={"body": "1,2"},
    )
    found = edges(dag)
    assert found.pop("configure_autoscaling") >= {"smoke_test"}
    assert found.pop("create_alarm") >= {"smoke_test"}
    assert found == {
        "build_image": set(),
        "upload_model_data": set(),
        "create_model": {"build_image", "upload_model_data"},
        "create_endpoint_config": {"create_model"},
        "deploy_endpoint": {"create_endpoint_config"},
        "smoke_test": {"deploy_endpoint"},
    }


def test_two_alarms_of_a_group_on_one_metric_need_names(dag: DAG) -> None:
    alarm = {
        "variant_name": "main",
        "metric": EndpointMetric.invocations(),
        "threshold": 1,
        "evaluation_periods": 1,
    }
    group(alarms=[alarm, {**alarm, "alarm_name": "second"}, {**alarm, "alarm_name": "third"}])
    with pytest.raises(
        InvalidSpecError, match=r"the default name, in the tasks .*create_alarm_1 and .*create_alarm_2"
    ):
        group(group_id="again", alarms=[alarm, {**alarm, "threshold": 2}])


@pytest.mark.parametrize("used", ["chrun", "churn-0123456789", "{{ params.model }}"])
def test_a_declared_model_that_no_variant_serves_is_a_warning(dag: DAG, used: str) -> None:
    variant = InstanceProductionVariant(model_name=used, variant_name="main", instance_type="ml.m5.large")
    with pytest.warns(
        UserWarning, match=rf"models declares 'churn', and no variant serves it: .* {re.escape(used)}\."
    ):
        group(production_variants=[variant])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group(group_id="right")


def test_the_tags_of_a_group_are_on_the_scaling_too(dag: DAG) -> None:
    group(scaling={"main": {"max_capacity": 2}}, tags={"team": "ml"})
    assert dag.get_task("model_hosting.configure_autoscaling").tags == {"team": "ml"}
    group(group_id="own", scaling={"main": {"max_capacity": 2, "tags": {"a": "b"}}}, tags={"team": "ml"})
    assert dag.get_task("own.configure_autoscaling").tags == {"a": "b"}


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"from_zero": ScaleFromZero(target_value=5)}, "of a real-time endpoint, which keeps one instance"),
        (
            {
                "min_capacity": 1,
                "scheduled_actions": [WorkingHours(start="07:00", end="20:00", timezone="UTC")],
            },
            "a real-time endpoint keeps one instance",
        ),
    ],
)
def test_a_group_tells_of_an_endpoint_that_cannot_be_zero(
    dag: DAG, scaling: dict[str, Any], words: str
) -> None:
    of_group = {"main": {"max_capacity": 2, **scaling}}
    with pytest.raises(InvalidSpecError, match=words):
        group(scaling=of_group)
    asynchronous = {"OutputConfig": {"S3OutputPath": "s3://answers/"}}
    group(
        group_id="asynchronous",
        scaling=of_group,
        endpoint_config_options={"async_inference_config": asynchronous},
    )


def test_a_variant_of_a_declared_model_stays_the_spec_object_that_it_was(dag: DAG) -> None:
    group()
    [variant] = dag.get_task("model_hosting.create_endpoint_config").production_variants
    assert type(variant) is InstanceProductionVariant
    assert variant["ModelName"] == dag.get_task("model_hosting.create_model").output


def test_without_a_smoke_test_scaling_and_alarms_follow_the_deployment(dag: DAG) -> None:
    made = group(scaling={"main": {"max_capacity": 2}})
    assert edges(dag)["configure_autoscaling"] == {"deploy_endpoint"}
    assert "smoke_test" not in edges(dag)
    assert made.deploy.task_id == "model_hosting.deploy_endpoint"


def test_a_chain_of_what_exists_builds_and_uploads_nothing(dag: DAG) -> None:
    group(models={"churn": [ContainerDefinition(image=IMAGE, model_data="s3://models/m.tar.gz")]})
    assert set(edges(dag)) == {"create_model", "create_endpoint_config", "deploy_endpoint"}


def two_models(one: Any, other: Any) -> dict[str, Any]:
    return {
        "models": {"a": [ContainerDefinition(image=one)], "b": [ContainerDefinition(image=other)]},
        "production_variants": [
            InstanceProductionVariant(model_name=name, variant_name=name) for name in "ab"
        ],
    }


def test_equal_assets_are_one_task(dag: DAG) -> None:
    group(**two_models(ContainerImage.from_asset("app"), ContainerImage.from_asset("app")))
    found = edges(dag)
    assert found["create_model_a"] == found["create_model_b"] == {"build_image"}
    assert found["create_endpoint_config"] == {"create_model_a", "create_model_b"}


def test_assets_that_are_equal_but_for_the_order_of_their_arguments_are_one_task(dag: DAG) -> None:
    group(
        **two_models(
            ContainerImage.from_asset("app", build_args={"A": "1", "B": "2"}),
            ContainerImage.from_asset("app", build_args={"B": "2", "A": "1"}),
        )
    )
    assert [task_id for task_id in edges(dag) if task_id.startswith("build_image")] == ["build_image"]


def test_other_assets_are_tasks_of_their_own(dag: DAG) -> None:
    group(**two_models(ContainerImage.from_asset("app"), ContainerImage.from_asset("app", target="gpu")))
    found = edges(dag)
    assert found["create_model_a"] == {"build_image"}
    assert found["create_model_b"] == {"build_image_2"}


def test_the_asset_is_what_the_operator_is_told(dag: DAG) -> None:
    image = ContainerImage.from_asset(
        "app", dockerfile="D", build_args={"A": "1"}, target="t", platform="linux/arm64", labels={"l": "1"}, cache_from=["c"],
        cache_to=["d"], build_contexts={"other": "../other"}, repository_name="own",
    )  # fmt: skip
    group(
        models={"churn": [ContainerDefinition(image=image)]},
        production_variants=[
            InstanceProductionVariant(
                model_name="churn",
                variant_name="main",
                instance_type="ml.c7g.large",
                initial_instance_count=2,
            )
        ],
        build_options={"builder": "buildah", "resolve_base": True},
    )
    made = dag.get_task("model_hosting.build_image")
    assert isinstance(made, BuildImageOperator)
    assert (made.builder, made.resolve_base) == ("buildah", True)
    assert (made.cache_to, made.build_contexts) == (["d"], {"other": "../other"})
    assert (made.directory, made.dockerfile, made.target, made.platform) == ("app", "D", "t", "linux/arm64")
    assert (made.build_args, made.labels, made.cache_from) == ({"A": "1"}, {"l": "1"}, ["c"])
    assert made.repository_name == "own"


@pytest.mark.usefixtures("dag")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repository_name": None}, "repository_name is missing"),
        ({"bucket_name": None}, "bucket_name is missing"),
        (
            {"scaling": {"other": {"max_capacity": 2}}},
            "scaling: there is no variant 'other'; production_variants has: main",
        ),
        ({"alarms": [{"variant_name": "other"}]}, "alarms: there is no variant 'other'"),
        (
            {
                "production_variants": [InstanceProductionVariant(model_name="churn", variant_name="main")],
                "scaling": {"main": {"max_capacity": 2}},
            },
            r"main has the burstable instance_type 'ml\.t2\.medium', which cannot be autoscaled",
        ),
        (
            {"scaling": {"main": {"max_capacity": 3, "min_capacity": 2}}},
            "min_capacity is 2; allowed: at most",
        ),
        (
            {
                "models": {"churn": [ContainerDefinition(image=ContainerImage.from_asset("app"))]},
                "production_variants": [
                    InstanceProductionVariant(
                        model_name="churn", variant_name="main", instance_type="ml.m7g.large"
                    )
                ],
            },
            r"is built for linux/amd64, but .* 'main' \(ml\.m7g\.large\) need linux/arm64; give ContainerImage",
        ),
    ],
    ids=["repository", "bucket", "scaling", "alarm", "burstable", "minimum", "Graviton"],
)
def test_a_description_that_does_not_fit_together_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        group(**options)


@pytest.mark.usefixtures("dag")
def test_the_group_changes_nothing_that_was_given() -> None:
    containers = [ContainerDefinition(image=ContainerImage.from_asset("app"))]
    variants = [InstanceProductionVariant(model_name="churn", variant_name="main")]
    before = json.dumps([containers, variants])
    group(models={"churn": containers}, production_variants=variants)
    assert json.dumps([containers, variants]) == before


def test_the_aws_parameters_reach_every_task(dag: DAG) -> None:
    group(
        aws_conn_id="mine",
        region_name="eu-west-1",
        verify=False,
        scaling={"main": {"max_capacity": 2}},
        smoke_test={"body": "1"},
    )
    for one in dag.tasks:
        assert (one.aws_conn_id, one.region_name, one.verify) == ("mine", "eu-west-1", False)


def test_a_group_and_a_decorated_task_work_together(dag: DAG) -> None:
    @task
    def train() -> str:
        return "s3://models/m.tar.gz"

    group(models={"churn": [ContainerDefinition(image=IMAGE, model_data=train())]})
    assert edges(dag)["create_model"] == {"train"}
