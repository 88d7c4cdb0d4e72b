"""The environment of all tests: an Airflow home of their own, and no AWS credentials but those of the local AWS."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from airflow_sm_hosting import stat_cache
from airflow_sm_hosting.deployment import evidence

if TYPE_CHECKING:
    import docker

# Before anything imports Airflow: it reads its configuration once. A run of its own, so that two at once do not meet.
AIRFLOW_HOME = tempfile.mkdtemp(prefix="sm-hosting-tests-")
os.environ.update(
    AIRFLOW_HOME=AIRFLOW_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=os.path.join(os.path.dirname(os.path.dirname(__file__)), "dags"),
    # A client without the local AWS's endpoint must not reach anything real.
    AWS_ACCESS_KEY_ID="no-real-key",
    AWS_SECRET_ACCESS_KEY="no-real-secret",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

# What properties are tried with: few examples while one works, and with HYPOTHESIS_PROFILE=thorough the many of "make test-slow". In CI the
# examples are the same each time, so that a change is not blamed for what another one broke.
settings.register_profile(
    "quick", max_examples=25, deadline=None, print_blob=True, derandomize="CI" in os.environ
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

#: Under which a missing Docker engine fails the tests that need one, in place of skipping them.
REQUIRE_ENGINE = "SM_HOSTING_REQUIRE_ENGINE"


#: Tests that start servers, containers' stand-ins or fresh interpreters again and again: minutes together, so they are no part of the quick
#: suite. ``make test`` and CI run them.
SLOW = (
    "tests/artifacts/test_prefix.py",
    "tests/artifacts/test_transfer.py",
    "tests/artifacts/test_upload.py",
    "tests/cli/test_application.py",
    "tests/cli/test_invoke.py",
    "tests/cli/test_servers.py",
    "tests/crashes/",
    "tests/dags/",
    "tests/iam/",
    "tests/local/",
    "tests/operators/test_build_by_codebuild.py",
    "tests/operators/test_ensure_execution_role.py",
    "tests/operators/test_patience.py",
    "tests/parity/test_examples.py",
    "tests/readback/",
    "tests/spec/in_dags/test_whole_dags.py",
    "tests/testing/",
    "tests/triggers/test_image_build.py",
    "tests/triggers/test_poller.py",
    "tests/upgrade/",
)
#: Of these the ones that decide and do not start anything.
QUICK = (
    "tests/local/test_archives.py",
    "tests/local/stand_ins/test_contracts.py",
    "tests/local/stand_ins/test_families.py",
    "tests/local/sagemaker/test_operations.py",
    "tests/local/cloudformation/test_functions.py",
    "tests/local/cloudwatch/test_metric_math.py",
    "tests/local/cloudwatch/test_metrics.py",
    "tests/local/ecr/test_registry.py",
    "tests/local/autoscaling/test_arithmetic.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes minutes."""
    for item in items:
        if item.nodeid.startswith(SLOW) and not item.nodeid.startswith(QUICK):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def no_lag(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local AWS shows every change at once, so answers that agree for a moment are proof. Deciding is tested with the real time."""
    if request.path.parent.name != "deployment":
        monkeypatch.setattr(evidence, "READS_LAG", 0.2)


@pytest.fixture(autouse=True)
def own_stat_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digests of files that tasks keep go with the run."""
    monkeypatch.setattr(stat_cache, "user_cache_path", lambda name: Path(AIRFLOW_HOME) / "cache" / name)


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[str]:
    yield AIRFLOW_HOME
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no pause last longer than 0.02 seconds, for tests in which what is waited for is there as soon as it is asked for again."""
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: pause(min(seconds, 0.02)))


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """A Docker engine, or a skip; under ``SM_HOSTING_REQUIRE_ENGINE`` a missing engine is a failure."""
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        if os.environ.get(REQUIRE_ENGINE):
            pytest.fail(f"{REQUIRE_ENGINE} is set, and no Docker engine answers: {error}")
        pytest.skip("no Docker engine answers; 'make docker-engine' installs one")
    yield client
    client.close()


@pytest.fixture(scope="session")
def debian_base_image(docker_client: docker.DockerClient) -> str:
    """A base image with Python, made from Debian's packages."""
    from airflow_sm_hosting.local.engines.base_image import ensure_debian_python_base

    return ensure_debian_python_base(docker_client)


@pytest.fixture(scope="session")
def docker_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A worker's ``~/.docker`` that nobody has logged in, with buildx, or what stands in for it."""
    from tests.images import buildx_on_old_docker

    folder = tmp_path_factory.mktemp("docker-config")
    if subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode:
        plugin = folder / "cli-plugins" / "docker-buildx"
        plugin.parent.mkdir()
        plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{buildx_on_old_docker.__file__}" "$@"\n')
        plugin.chmod(0o755)
    return folder


@pytest.fixture
def buildah_storage(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A store of buildah's own, which goes with the test; under ``SM_HOSTING_REQUIRE_ENGINE`` a missing buildah is a failure."""
    if shutil.which("buildah") is None:
        if os.environ.get(REQUIRE_ENGINE):
            pytest.fail(f"{REQUIRE_ENGINE} is set, and buildah is not installed")
        pytest.skip("buildah is not installed (apt-get install buildah)")
    folder = tmp_path_factory.mktemp("containers")
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
    yield
    subprocess.run(["buildah", "rmi", "--all", "--force"], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)
