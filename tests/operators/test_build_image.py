"""BuildImageOperator: built once per content, pushed to the local AWS's registry."""

from __future__ import annotations

import json
import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    BuildImageOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    InstanceProductionVariant,
    UploadModelDataOperator,
)
from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.assembler import ImageAssembler
from airflow_sm_hosting.images.registry import RegistryClient
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import login_of
from tests.local_servers import local_server
from tests.operators.conftest import ROLE, _emptied, deploy, operations, outcome, run_task, task_id


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "app"
    path.mkdir()
    (path / "Dockerfile").write_text(
        'FROM scratch\nARG VERSION=1\nENV VERSION=$VERSION\nCOPY serve.py /opt/\nENTRYPOINT ["python3", "/opt/serve.py"]\n'
    )
    (path / "serve.py").write_text("print('hello')\n")
    return path


def build(folder: Path, **options: Any) -> BuildImageOperator:
    return BuildImageOperator(
        **{
            "task_id": task_id("build"),
            "directory": str(folder),
            "repository_name": "team/churn",
            "builder": "assembler",
            **options,
        }
    )


def images(aws: LocalAws) -> list[dict[str, Any]]:
    return aws.client("ecr").describe_images(repositoryName="team/churn")["imageDetails"]


def test_an_image_is_built_and_pushed_once(aws: LocalAws, dag: DAG, folder: Path) -> None:
    first = run_task(build(folder))
    host = aws.endpoint_url.removeprefix("http://")
    assert re.fullmatch(re.escape(f"{host}/team/churn@") + r"sha256:[0-9a-f]{64}", first.value)
    assert first.details["built"] is True
    [image] = images(aws)
    assert first.value.endswith(image["imageDigest"])
    assert image["imageTags"] == first.details["tags"]

    aws.clear_requests()
    second = run_task(build(folder))
    assert (second.value, second.details["built"]) == (first.value, False)
    assert operations(aws) == ["DescribeRepositories", "BatchGetImage"]


@pytest.mark.parametrize("change", ["file", "build_args", "labels"])
def test_other_content_is_another_image_and_the_old_one_stays(
    aws: LocalAws, dag: DAG, folder: Path, change: str
) -> None:
    first = run_task(build(folder)).value
    if change == "file":
        (folder / "serve.py").write_text("print('hello again')\n")
    options = {"build_args": {"build_args": {"VERSION": "2"}}, "labels": {"labels": {"team": "a"}}}.get(
        change, {}
    )
    second = run_task(build(folder, **options))
    assert second.details["built"] is True
    assert second.value != first
    assert {image["imageDigest"] for image in images(aws)} == {
        uri.partition("@")[2] for uri in (first, second.value)
    }


def test_a_tag_moves_with_what_was_built(aws: LocalAws, dag: DAG, folder: Path) -> None:
    run_task(build(folder, image_tag="{{ 'live' }}"))
    aws.clear_requests()
    run_task(build(folder, image_tag="live"))
    assert operations(aws, mutating=True) == []
    (folder / "serve.py").write_text("2")
    second = run_task(build(folder, image_tag="live")).value
    [live] = aws.client("ecr").batch_get_image(repositoryName="team/churn", imageIds=[{"imageTag": "live"}])[
        "images"
    ]
    assert second.endswith(live["imageId"]["imageDigest"])


def test_a_repository_is_made_only_where_it_may(aws: LocalAws, dag: DAG, folder: Path) -> None:
    with pytest.raises(NotFoundError, match="team/churn"):
        run_task(build(folder, create_repository=False))
    assert operations(aws, mutating=True) == []
    aws.client("ecr").create_repository(repositoryName="team/churn")
    assert run_task(build(folder, create_repository=False)).value


def test_a_relative_path_is_beside_the_dag_file(aws: LocalAws, folder: Path) -> None:
    with DAG("relative", schedule=None) as dag:
        dag.fileloc = str(folder.parent / "dag.py")
        task = build(folder, directory="app")
    assert run_task(task).value == run_task(build(folder, dag=dag)).value


def test_the_registry_password_is_not_shown(
    aws: LocalAws, dag: DAG, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ran = run_task(build(folder))
    shown = capsys.readouterr()
    password = login_of(aws)[1]
    assert password not in shown.out + shown.err + repr(ran)


@pytest.mark.parametrize("ends", ["\r\n", "\n"])
def test_a_script_with_windows_line_ends_is_a_warning_when_it_is_built(
    aws: LocalAws, dag: DAG, folder: Path, ends: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "serve.py").write_bytes(f"#!/usr/bin/env python3{ends}print(){ends}".encode())
    run_task(build(folder))
    told = capsys.readouterr()
    assert ("first line of serve.py ends with a carriage return" in told.out + told.err) is (ends == "\r\n")


@pytest.mark.parametrize(
    ("dockerfile", "error"),
    [
        ("FROM scratch\nRUN make\n", (ImageBuildError, InvalidSpecError)),
        ("FROM scratch\nCOPY gone /\n", (ImageBuildError, InvalidSpecError)),
        (None, InvalidSpecError),
    ],
)
def test_what_cannot_be_built_is_an_error(
    aws: LocalAws, dag: DAG, folder: Path, dockerfile: str | None, error: Any
) -> None:
    if dockerfile is None:
        (folder / "Dockerfile").unlink()
    else:
        (folder / "Dockerfile").write_text(dockerfile)
    assert isinstance(outcome(build(folder)).error, error)
    assert "PutImage" not in operations(aws)


@pytest.mark.parametrize(
    "bad",
    [
        {"directory": "{{ '/gone/away' }}"},
        {"directory": "{{ none }}"},
        {"repository_name": "{{ 'Team' }}"},
        {"repository_name": "{{ '123456789012' }}.dkr.ecr.us-east-1.amazonaws.com/churn"},
        {"image_tag": "{{ 'a b' }}"},
        {"platform": "{{ 'windows/amd64' }}"},
        {"build_args": "{{ 'x' }}"},
        {"cache_from": "{{ 'x' }}"},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, folder: Path, bad: dict[str, Any]
) -> None:
    end = outcome(build(folder, **bad))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(aws) == []


def test_a_repository_with_the_registrys_host_is_refused_where_it_is_written(folder: Path, dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match=r"repository_name is .*'churn', without the registry's host"):
        build(folder, repository_name="123456789012.dkr.ecr.us-east-1.amazonaws.com/churn")


@pytest.mark.engine
def test_the_docker_engine_builds_and_pushes_what_the_local_aws_takes(
    aws: LocalAws, dag: DAG, folder: Path, docker_client: Any
) -> None:
    ran = run_task(build(folder, builder="docker"))
    try:
        assert ran.details["built"] is True
        made = aws.client("sagemaker").create_model(
            ModelName="churn",
            PrimaryContainer={"Image": ran.value},
            ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
        )
        assert made["ModelArn"]
        aws.clear_requests()
        assert run_task(build(folder, builder="docker")).value == ran.value
        assert operations(aws, mutating=True) == []
    finally:
        for tag in ran.details["tags"]:
            docker_client.images.remove(f"{ran.details['repository_uri']}:{tag}", force=True)


def test_a_push_that_was_cut_off_before_its_manifest_was_settled_is_mended_by_the_next_run(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    """An engine that pushes OCI manifests, and a task that died right after: the tag names what SageMaker refuses."""
    first = run_task(build(folder))
    tag = first.details["tags"][0]
    host = aws.endpoint_url.removeprefix("http://")
    user, password = login_of(aws)
    with closing(RegistryClient(host, username=user, password=password)) as registry:
        _, content = registry.get_manifest("team/churn", tag)
        manifest = json.loads(content)
        manifest["mediaType"] = manifests.OCI_MANIFEST
        manifest["config"]["mediaType"] = manifests.OCI_CONFIG
        for layer in manifest["layers"]:
            layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
        registry.put_manifest("team/churn", tag, json.dumps(manifest).encode(), manifests.OCI_MANIFEST)

        again = run_task(build(folder, image_tag="live"))
        assert again.details["built"] is False
        digest = again.value.partition("@")[2]
        assert registry.get_manifest("team/churn", digest)[0] == manifests.DOCKER_MANIFEST
        assert registry.get_manifest("team/churn", "live")[0] == manifests.DOCKER_MANIFEST


# Secrets, other folders, bases


def test_a_secret_is_shown_nowhere(dag: DAG, folder: Path) -> None:
    task = build(folder, builder="buildah", secrets={"token": "correct-horse", "key": "{{ params.key }}"})
    assert "correct-horse" not in repr(task.secrets)
    task.render_template_fields({"params": {"key": "battery-staple"}})
    assert {key: str(value) for key, value in task.secrets.items()} == {"token": "***", "key": "***"}
    assert set(task.hidden_values()) == {"correct-horse", "battery-staple"}


def test_a_secret_counts_by_its_id_and_a_rerun_with_another_value_builds_nothing(
    aws: LocalAws, dag: DAG, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _anything_is_assembled(monkeypatch)
    first = run_task(build(folder, builder="auto", secrets={"token": "one-value"}))
    again = run_task(build(folder, builder="auto", secrets={"token": "another-value"}))
    assert again.details["built"] is False
    assert run_task(build(folder, builder="auto", secrets={"other": "one-value"})).details["built"] is True
    assert run_task(build(folder)).value.partition("@")[0] == first.value.partition("@")[0]


@pytest.mark.parametrize("name", ["secrets", "build_contexts"])
@pytest.mark.parametrize("key", ["a b", "a,env=PATH", "", "=", "-x", "{{ params.x }}"])
def test_a_name_that_would_change_a_builders_options_is_refused_at_parse(
    dag: DAG, folder: Path, name: str, key: str
) -> None:
    with pytest.raises(InvalidSpecError, match=f"{name}: the name is .*allowed: letters"):
        build(folder, **{name: {key: "value"}})


def _anything_is_assembled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is built does not matter here; builders that take secrets and other folders are tested in tests/images."""
    monkeypatch.setattr(ImageAssembler, "lacks", lambda self, recipe: None)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    monkeypatch.setenv("PATH", "/nonexistent")


@pytest.mark.parametrize("builder", ["docker", "assembler", "codebuild"])
@pytest.mark.parametrize("given", [{"secrets": {"token": "correct-horse"}}, {"build_contexts": {"a": "/b"}}])
def test_what_a_builder_can_never_do_is_an_error_at_parse(
    dag: DAG, folder: Path, builder: str, given: dict[str, Any]
) -> None:
    settings = {"service_role": "r", "bucket_name": "builds"} if builder == "codebuild" else None
    with pytest.raises(InvalidSpecError, match=rf"builder '{builder}' does not support") as caught:
        build(folder, builder=builder, codebuild=settings, **given)
    assert "correct-horse" not in str(caught.value)


@pytest.mark.parametrize("name", ["secrets", "build_args", "labels", "build_contexts"])
def test_none_from_upstream_is_no_text(aws: LocalAws, dag: DAG, folder: Path, name: str) -> None:
    task = build(folder, builder="auto")
    setattr(task, name, {"a": None})
    error = outcome(task).error
    assert isinstance(error, InvalidSpecError)
    assert f"{name}['a'] is None; allowed: a string" in str(error)


def test_names_from_upstream_are_checked_too(aws: LocalAws, dag: DAG, folder: Path) -> None:
    task = build(folder, builder="auto")
    task.secrets = {"a,src=/etc/passwd": "1"}
    error = outcome(task).error
    assert isinstance(error, InvalidSpecError)
    assert "secrets: the name is 'a,src=/etc/passwd'" in str(error)
    assert operations(aws) == []


@pytest.mark.parametrize("name", ["cache_from", "cache_to"])
@pytest.mark.parametrize("reference", ["a:1,dest=/etc", "a b", "", "a=b"])
def test_a_cache_that_would_change_a_builders_options_is_refused_at_parse(
    dag: DAG, folder: Path, name: str, reference: str
) -> None:
    with pytest.raises(InvalidSpecError, match=rf"{name}\[0\]"):
        build(folder, **{name: [reference]})


def test_a_folder_that_changes_while_it_is_built_gets_no_tag(
    aws: LocalAws, dag: DAG, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tag names the content: under it, an image of other content would be found by every later run."""
    change, was = EcrRepositoryHook.image, (folder / "serve.py").read_text()

    def changed(*arguments: Any, **options: Any) -> Any:
        (folder / "serve.py").write_text("print('another')\n")
        return change(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(EcrRepositoryHook, "image", changed)
        error = outcome(build(folder)).error
    assert isinstance(error, ImageBuildError)
    assert "changes while its image is built; nothing is pushed" in str(error)
    assert images(aws) == []
    (folder / "serve.py").write_text(was)
    assert run_task(build(folder)).details["built"] is True


def test_another_folder_is_a_part_of_the_content(
    aws: LocalAws, dag: DAG, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _anything_is_assembled(monkeypatch)
    other = folder.parent / "other"
    other.mkdir()
    (other / "a").write_text("1")
    contexts = {"other": str(other), "base": "docker-image://example.com/base:1"}
    assert run_task(build(folder, builder="auto", build_contexts=contexts)).details["built"] is True
    assert run_task(build(folder, builder="auto", build_contexts=contexts)).details["built"] is False
    (other / "a").write_text("2")
    assert run_task(build(folder, builder="auto", build_contexts=contexts)).details["built"] is True
    contexts["base"] = "docker-image://example.com/base:2"
    assert run_task(build(folder, builder="auto", build_contexts=contexts)).details["built"] is True


def test_a_moved_base_is_built_again_only_with_resolve_base(aws: LocalAws, dag: DAG, folder: Path) -> None:
    def push_base(version: str) -> str:
        (folder.parent / "base").mkdir(exist_ok=True)
        (folder.parent / "base" / "Dockerfile").write_text(
            f"FROM scratch\nCOPY Dockerfile /\nENV V={version}\n"
        )
        made = run_task(build(folder.parent / "base", repository_name="base", image_tag="latest"))
        return made.details["repository_uri"]

    base = push_base("1")
    (folder / "Dockerfile").write_text(f"FROM {base}:latest\nCOPY serve.py /\n")
    first = run_task(build(folder, resolve_base=True))
    aws.clear_requests()
    assert run_task(build(folder, resolve_base=True)).value == first.value
    assert operations(aws).count("BatchGetImage") == 1
    assert operations(aws, mutating=True) == []
    pinned = run_task(build(folder)).value
    push_base("2")
    assert run_task(build(folder)).value == pinned
    second = run_task(build(folder, resolve_base=True))
    assert second.details["built"] is True
    assert second.value != first.value


def test_a_base_that_cannot_be_looked_up_counts_by_its_name(
    aws: LocalAws, dag: DAG, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = run_task(build(folder)).details["repository_uri"]
    (folder / "Dockerfile").write_text(f"FROM {base}:no-such-tag\nCOPY serve.py /\n")
    told = outcome(build(folder, resolve_base=True)).error
    assert isinstance(told, ImageBuildError)
    assert "no-such-tag" in str(told)


# The image of each builder serves


@pytest.mark.engine
@pytest.mark.parametrize("builder", ["docker", "docker with BuildKit", "buildx", "buildah", "assembler"])
def test_the_demos_image_of_each_builder_serves(
    builder: str,
    dag: DAG,
    docker_client: Any,
    debian_base_image: str,
    docker_config: Path,
    buildah_storage: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The base is in a private registry, and nobody has logged the worker in."""
    aws = _emptied(local_server("docker"), monkeypatch)
    monkeypatch.setenv("DOCKER_CONFIG", str(docker_config))
    base = aws.client("ecr").create_repository(repositoryName="base")["repository"]["repositoryUri"]
    docker_client.api.tag(debian_base_image, base, "1")
    user, password = login_of(aws)
    for event in docker_client.api.push(
        base, tag="1", stream=True, decode=True, auth_config={"username": user, "password": password}
    ):
        assert "error" not in event, event
    docker_client.images.remove(f"{base}:1")
    folder = tmp_path / "image"
    shutil.copytree(Path(__file__).parents[2] / "dags" / "serving_image", folder)
    if builder == "docker with BuildKit":
        builder = "docker"
        with (folder / "Dockerfile").open("a") as dockerfile:
            dockerfile.write("RUN --mount=type=cache,target=/cache true\n")
    ran = run_task(build(folder, builder=builder, build_args={"BASE": f"{base}:1"}))
    assert password not in repr(ran)
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_text(
        json.dumps(
            {
                "features": ["x"],
                "labels": ["no", "yes"],
                "mean": [0],
                "scale": [1],
                "members": [{"weights": [1], "intercept": 0}],
            }
        )
    )
    aws.client("s3").create_bucket(Bucket="models")
    data = run_task(UploadModelDataOperator(task_id=task_id("data"), path=str(model), bucket_name="models"))
    name = run_task(
        CreateModelOperator(
            task_id=task_id("model"),
            model_name="churn",
            containers=[ContainerDefinition(image=ran.value, model_data=data.value)],
            execution_role=ROLE,
        )
    ).value
    variant = InstanceProductionVariant(
        model_name=name, variant_name="main", instance_type="ml.m5.large", initial_instance_count=1
    )
    config = run_task(
        CreateEndpointConfigOperator(
            task_id=task_id("config"), endpoint_config_name="churn", production_variants=[variant]
        )
    ).value
    run_task(deploy(config))
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="churn", Body=b'{"instances": [[1], [-1]]}', ContentType="application/json"
    )
    assert json.loads(answer["Body"].read())["labels"] == ["yes", "no"]
