"""CheckContainerOperator: what it takes, what it returns, and that a bad container ends the chain before CreateModel."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import docker
import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    CheckContainerOperator,
    ContainerDefinition,
    ContainerImage,
    CreateModelOperator,
    InstanceProductionVariant,
    ModelData,
    ModelHostingTaskGroup,
    ServerlessProductionVariant,
)
from airflow_sm_hosting.exceptions import ContainerCheckError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.guarded_task import TaskKilledError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.operators.base import DETAILS
from airflow_sm_hosting.retries import why_hopeless
from tests.container_check.conftest import BIND, ENTRYPOINT, Build, build
from tests.container_check.test_command import left
from tests.local.conftest import OCI_MANIFEST, Deployer, login_of, tar_bytes, wait_until
from tests.operators.conftest import ROLE, Ran, operations, outcome, run_task, task_id

__all__ = ["build"]

REQUEST = {"body": {"x": 1}, "expect": "x"}


def check(image: Any, **options: Any) -> CheckContainerOperator:
    return CheckContainerOperator(task_id=task_id("check"), image=image, **options)


# At DAG parse


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image": ""}, "image is ''"),
        ({"image": "two words"}, "image is 'two words'"),
        ({"image": ContainerImage.from_asset("serving")}, "let BuildImageOperator build it"),
        ({"model_data": ""}, "model_data is ''"),
        ({"model_data": "ftp://x/y"}, "model_data is 'ftp://x/y'"),
        ({"requests": {"body": 1}}, "requests is a dict; allowed: a list"),
        ({"requests": [{"bdy": 1}]}, r"requests\[0\] has 'bdy'.*Did you mean 'body'"),
        ({"requests": [{"body": None}]}, r"requests\[0\]: body is None"),
        ({"environment": {"A": None}}, r"environment\['A'\] is a NoneType"),
        ({"environment": {"1A": "x"}}, "environment"),
        ({"instance_type": "m5.large"}, "instance_type is 'm5.large'"),
        ({"memory_size_in_mb": 1000}, "memory_size_in_mb is 1000"),
        ({"memory_size_in_mb": 1024, "instance_type": "ml.m5.large"}, "both given"),
        ({"multi_model": True}, "multi_model needs model_data"),
        ({"memory_limit_in_mb": 0}, "memory_limit_in_mb is 0"),
        ({"startup_timeout": 0}, "startup_timeout is 0"),
        ({"stop_timeout": timedelta(minutes=1)}, "stop_timeout is 60 s"),
        ({"invocation_timeout": "soon"}, "invocation_timeout is 'soon'"),
        ({"network_isolation": "False"}, "network_isolation is 'False'"),
    ],
)
def test_a_literal_that_can_never_work_breaks_the_dag_file(
    dag: DAG, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        check(**{"image": "churn:1", **options})


def test_every_kind_of_literal_is_taken(dag: DAG) -> None:
    for image in ("churn", ContainerImage.from_dlc("pytorch-inference", "2.6"), "{{ params.image }}"):
        check(image)
    for data in ("model", Path("model"), "s3://models/a.tar.gz", ModelData.from_asset("model"), ModelData.from_bucket("models", "k")):  # fmt: skip
        check("churn", model_data=data)
    task = check(
        "churn",
        requests=["request.json", REQUEST],
        startup_timeout=timedelta(seconds=90),
        model_data=Path("model"),
    )
    assert task.model_data == "model"


def test_values_of_the_environment_are_hidden(dag: DAG) -> None:
    task = check("churn", environment={"KEY": "hunter2-hunter2", "LATE": "{{ params.x }}"})
    assert "hunter2" not in json.dumps(task.environment, default=str)
    task.render_template_fields({"params": {"x": "other-secret"}})
    assert json.dumps(task.environment, default=str) == '{"KEY": "***", "LATE": "***"}'
    assert task.hidden_values() == {"hunter2-hunter2", "other-secret"}


def test_a_retry_helps_where_an_engine_or_a_registry_was_out_of_reach() -> None:
    assert why_hopeless(ContainerCheckError("2 of 9 failed", failed=("ping", "port")))
    assert why_hopeless(ContainerCheckError("No Docker Engine answers")) is None
    assert why_hopeless(ContainerCheckError("1 of 1 failed", failed=("image",))) is None


# In a task


def test_rendered_values_are_checked_before_anything_runs(aws: LocalAws, dag: DAG) -> None:
    for options, words in (
        ({"memory_limit_in_mb": "{{ 'much' }}"}, "memory_limit_in_mb is 'much'"),
        ({"requests": "{{ 'none' }}"}, "requests is a str"),
        ({"image": "{{ none }}"}, "image is 'None'"),
        ({"requests": ["{{ 'absent.json' }}"]}, "absent.json cannot be read"),
    ):
        with pytest.raises(InvalidSpecError, match=words):
            run_task(check(**{"image": "churn", **options}))
    assert operations(aws) == []


def test_an_image_or_an_artifact_that_is_not_there_is_not_run(aws: LocalAws, dag: DAG) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    with pytest.raises(NotFoundError, match="no image churn:1"):
        run_task(check(ContainerImage.from_ecr_repository("churn", "1", registry_id=aws.account_id)))
    with pytest.raises(NotFoundError, match=r"no model data at s3://models/a\.tar\.gz"):
        run_task(check("churn", model_data="s3://models/a.tar.gz"))


def test_without_an_engine_the_error_says_so(
    aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    ended = outcome(check("churn:latest"))
    assert isinstance(ended.error, ContainerCheckError)
    assert "No Docker Engine answers" in str(ended.error)
    assert "queue=" in str(ended.error)
    assert ended.error.failed == ()


@pytest.mark.engine
class TestEngine:
    @pytest.fixture(autouse=True)
    def temporary(
        self, docker_client: docker.DockerClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Path]:
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        yield folder
        assert left(docker_client, folder) == []

    def pushed(self, aws: LocalAws, docker_client: docker.DockerClient, image: str) -> str:
        """Push an image to the local AWS under the tag v1, forget that name, and return its repository."""
        repository = Deployer(aws).repository()
        name = f"{aws.endpoint_url.removeprefix('http://')}/{repository}"
        docker_client.images.get(image).tag(name, "v1")
        user, password = login_of(aws)
        docker_client.images.push(name, tag="v1", auth_config={"username": user, "password": password})
        docker_client.images.remove(f"{name}:v1")
        return repository

    def test_an_image_of_ecr_and_an_artifact_of_s3_are_checked_and_the_image_goes_on_by_digest(
        self, aws: LocalAws, dag: DAG, docker_client: docker.DockerClient, build: Build
    ) -> None:
        repository = self.pushed(aws, docker_client, build(ENTRYPOINT, BIND))
        s3 = aws.client("s3")
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key="churn.tar.gz", Body=tar_bytes({"model.json": b"{}"}))
        ran = run_task(
            check(
                ContainerImage.from_ecr_repository(repository, "{{ 'v' }}1"),
                model_data=ModelData.from_bucket("models", "churn.tar.gz"),
                requests=[REQUEST],
                environment={"FAULT": "needs-model"},
                instance_type="{{ 'ml.m5.large' }}",
                stop_timeout="{{ 5 }}",
                non_root="{{ true }}",
            )
        )
        assert ran.value.startswith(f"{aws.endpoint_url.removeprefix('http://')}/{repository}@sha256:")
        rows = {row["check"]: row["result"] for row in ran.details["checks"]}
        assert set(rows.values()) == {"ok"}
        assert list(rows) == [
            "image", "platform", "manifest", "model data", "serve", "port", "ping", "invocations", "memory", "SIGTERM",
            "bind-to-port", "non-root",
        ]  # fmt: skip
        assert (ran.details["passed"], ran.details["image"]) == (True, ran.value)
        # It was pulled for the check.
        with pytest.raises(docker.errors.ImageNotFound):
            docker_client.images.get(ran.value)
        CreateModelOperator(
            task_id="create",
            model_name="churn",
            containers=[ContainerDefinition(image=ran.value)],
            execution_role=ROLE,
        )

    def test_a_bad_container_fails_the_task_with_the_rows_that_mend_it(
        self, aws: LocalAws, dag: DAG, build: Build
    ) -> None:
        ran = Ran()
        task = check(
            build("ENV FAULT=ping-404", ENTRYPOINT),
            startup_timeout=1,
            environment={"SECRET": "hunter2-hunter2"},
            requests=[REQUEST],
        )
        with pytest.raises(ContainerCheckError) as raised:
            run_task(task, ran=ran)
        text = str(raised.value)
        assert "1 of 5 checks failed" in text
        assert "404 to GET /ping" in text
        assert "Add the route GET /ping" in text
        assert "the key is ***" in text
        assert "hunter2" not in text + json.dumps(ran.xcoms)
        assert raised.value.failed == ("ping",)
        assert ran.xcoms[DETAILS]["passed"] is False
        assert [request for request in operations(aws) if request.startswith("Create")] == []

    def test_a_manifest_that_createmodel_would_refuse_fails_the_check(self, aws: LocalAws, dag: DAG) -> None:
        image = Deployer(aws).push_image({"unique": task_id().encode()}, media_type=OCI_MANIFEST)
        ended = outcome(check(image))
        assert isinstance(ended.error, ContainerCheckError)
        # What the container lacks is told, too.
        assert ended.error.failed == ("manifest", "serve")
        assert f"CreateModel refuses manifests of the type {OCI_MANIFEST}" in " ".join(
            str(ended.error).split()
        )

    def test_relative_paths_start_at_the_dag_file(self, aws: LocalAws, build: Build, tmp_path: Path) -> None:
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "model.json").write_text("{}")
        (tmp_path / "request.json").write_text(json.dumps(REQUEST))
        (tmp_path / "dag.py").touch()
        with DAG("beside", schedule=None) as dag:
            dag.fileloc = str(tmp_path / "dag.py")
            task = check(
                build("ENV FAULT=needs-model", ENTRYPOINT),
                model_data=ModelData.from_asset("model"),
                requests=["request.json"],
            )
        assert run_task(task).details["passed"]

    def test_a_prefix_of_s3_is_model_data_too_and_damaged_data_is_a_row(
        self, aws: LocalAws, dag: DAG, build: Build
    ) -> None:
        s3 = aws.client("s3")
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key="churn/model.json", Body=b"{}")
        s3.put_object(Bucket="models", Key="damaged.tar.gz", Body=tar_bytes({"a": b"b" * 1000})[:-9])
        image = build("ENV FAULT=needs-model", ENTRYPOINT)
        assert run_task(check(image, model_data="s3://models/churn/")).details["passed"]
        with pytest.raises(ContainerCheckError, match=r"model data +FAILED"):
            run_task(check(image, model_data="s3://models/damaged.tar.gz"))

    def test_a_killed_task_leaves_nothing(
        self, aws: LocalAws, dag: DAG, docker_client: docker.DockerClient, build: Build, temporary: Path
    ) -> None:
        task = check(build("ENV FAULT=no-server", ENTRYPOINT), startup_timeout=120)
        before = signal.signal(signal.SIGUSR1, lambda *_: task.on_kill())

        def kill() -> None:
            wait_until(lambda: any(one.status == "running" for one in left(docker_client, temporary)))
            os.kill(os.getpid(), signal.SIGUSR1)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            with pytest.raises(TaskKilledError):
                run_task(task)
        finally:
            killer.join()
            signal.signal(signal.SIGUSR1, before)
        assert left(docker_client, temporary) == []
        assert list(temporary.iterdir()) == []


# In the task group


def group(**options: Any) -> DAG:
    with DAG("group", schedule=None) as dag:
        ModelHostingTaskGroup(
            **{
                "endpoint_name": "churn",
                "models": {
                    "churn": [
                        ContainerDefinition(
                            image=ContainerImage.from_asset("serving"),
                            model_data=ModelData.from_asset("model"),
                            environment={"A": "b"},
                        )
                    ]
                },
                "production_variants": [
                    InstanceProductionVariant(
                        model_name="churn", variant_name="main", instance_type="ml.m5.large"
                    )
                ],
                "repository_name": "churn",
                "bucket_name": "models",
                "smoke_test": {"body": [1], "expect": "x", "target_variant": "main"},
                **options,
            }
        )
    return dag


def upstream(dag: DAG, task: str) -> set[str]:
    return {
        one.removeprefix("model_hosting.") for one in dag.get_task(f"model_hosting.{task}").upstream_task_ids
    }


def test_the_group_checks_between_image_and_model() -> None:
    dag = group(check_container=True)
    assert upstream(dag, "check_container") == {"build_image", "upload_model_data"}
    assert "check_container" in upstream(dag, "create_model")
    task: Any = dag.get_task("model_hosting.check_container")
    assert (task.requests, task.instance_type) == ([{"body": [1], "expect": "x"}], "ml.m5.large")
    assert task.hidden_values() == {"b"}


def test_the_group_checks_nothing_by_default() -> None:
    assert not [task for task in group().task_ids if "check" in task]


def test_the_groups_check_takes_parameters_and_knows_serverless_variants() -> None:
    dag = group(
        check_container={"startup_timeout": 60, "requests": []},
        production_variants=[
            ServerlessProductionVariant(
                model_name="churn", variant_name="main", max_concurrency=1, memory_size_in_mb=2048
            )
        ],
        smoke_test=None,
    )
    task: Any = dag.get_task("model_hosting.check_container")
    assert (task.startup_timeout, task.memory_size_in_mb, task.instance_type) == (60, 2048, None)


def test_each_container_of_a_pipeline_is_checked_without_the_request_of_the_endpoint() -> None:
    containers = [ContainerDefinition(image=f"{name}:1", container_hostname=name) for name in ("one", "two")]
    dag = group(models={"churn": containers}, check_container=True)
    tasks: list[Any] = [dag.get_task(f"model_hosting.check_container{suffix}") for suffix in ("", "_2")]
    assert [(task.image, task.requests) for task in tasks] == [("one:1", None), ("two:1", None)]
    assert upstream(dag, "create_model") == {"check_container", "check_container_2"}


def test_a_wrong_kind_of_check_breaks_the_dag_file() -> None:
    with pytest.raises(InvalidSpecError, match="check_container is 'yes'"):
        group(check_container="yes")
