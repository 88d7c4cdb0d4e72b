"""BuildImageOperator: built once per content, pushed to the local AWS's registry."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import BuildImageOperator
from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.registry import RegistryClient
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import login_of
from tests.operators.conftest import operations, outcome, run_task, task_id


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
