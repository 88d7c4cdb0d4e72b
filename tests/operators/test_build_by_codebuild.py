"""BuildImageOperator with CodeBuild: on an engine the builds of the local AWS really run, without one they are faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import BuildImageOperator
from airflow_sm_hosting.local import LocalAws
from tests.local_servers import local_server
from tests.operators.conftest import _emptied, run_task, task_id

ROLE = "arn:aws:iam::123456789012:role/builds"


@pytest.fixture
def docker_aws(monkeypatch: pytest.MonkeyPatch, debian_base_image: str) -> LocalAws:
    """One on the Docker engine, with a bucket for build contexts."""
    aws = _emptied(local_server("docker"), monkeypatch)
    aws.client("s3").create_bucket(Bucket="builds")
    return aws


@pytest.fixture
def folder(tmp_path: Path, debian_base_image: str) -> Path:
    path = tmp_path / "app"
    path.mkdir()
    (path / "Dockerfile").write_text(
        f'FROM {debian_base_image}\nARG VERSION=1\nENV VERSION=$VERSION\nCOPY serve.py /opt/\nRUN echo "made $VERSION"\n'
        'ENTRYPOINT ["python3", "/opt/serve.py"]\n'
    )
    (path / "serve.py").write_text("print('hello')\n")
    return path


def build(folder: Path, **options: Any) -> BuildImageOperator:
    return BuildImageOperator(
        **{
            "task_id": task_id("build"),
            "directory": str(folder),
            "repository_name": "team/churn",
            "builder": "codebuild",
            "codebuild": {"service_role": ROLE, "bucket_name": "builds"},
            "poll_interval": 0.2,
            "deferrable": False,
            **options,
        }
    )


@pytest.mark.engine
@pytest.mark.slow
def test_an_image_is_built(docker_aws: LocalAws, dag: DAG, folder: Path) -> None:
    ran = run_task(build(folder))
    print(ran)
