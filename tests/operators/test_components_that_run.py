"""Inference components whose containers really run (the process engine): what a green deployment means is what answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting import ContainerImage, Expectation, InferenceComponentSpecification, SmokeTest
from airflow_sm_hosting.exceptions import DeploymentRolledBackError, SmokeTestFailedError
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import SERVING, Deployer
from tests.operators.components import NEEDS, deploy_component, make_host
from tests.operators.conftest import outcome

pytestmark = pytest.mark.usefixtures("dag")


def version_of(aws: LocalAws) -> Any:
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="host", InferenceComponentName="churn", Body=b"1,2", ContentType="text/csv"
    )
    return json.loads(answer["Body"].read())["version"]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
@pytest.mark.slow
def test_what_was_asked_for_answers_and_what_does_not_start_is_rolled_back(
    process_aws: LocalAws, deferrable: bool
) -> None:
    aws = process_aws
    deployer = Deployer(aws)
    image = deployer.push_image()
    make_host(aws)

    def deploy(version: str, **environment: str) -> Any:
        specification = InferenceComponentSpecification(
            image=image,
            environment={"VERSION": version, **environment},
            requirements=NEEDS,
            container_startup_health_check_timeout=60,
        )
        return outcome(deploy_component(specification=specification, deferrable=deferrable))

    assert deploy("1").error is None
    assert version_of(aws) == "1"
    assert deploy("2").error is None
    assert version_of(aws) == "2"
    failed = deploy("3", CRASH="1", PASSWORD="hunter2")
    assert isinstance(failed.error, DeploymentRolledBackError), failed.error
    assert "Environment differs" in str(failed.error)
    # The last lines of the container's own log, with the values of its environment masked.
    assert "the password is ***" in str(failed.error)
    assert "hunter2" not in str(failed.error)
    assert version_of(aws) == "2"


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
@pytest.mark.slow
def test_a_tag_that_moves_is_another_image(process_aws: LocalAws, deferrable: bool) -> None:
    aws = process_aws
    deployer = Deployer(aws)
    repository = deployer.repository()
    make_host(aws)

    def push(version: str) -> None:
        program = SERVING.read_bytes() + f"\n# {version}\n".encode()
        deployer.push_image({"opt/program/serve.py": program}, repository=repository, tag="live")

    def deploy() -> Any:
        specification = InferenceComponentSpecification(
            image=ContainerImage.from_ecr_repository(repository, tag="live"), requirements=NEEDS
        )
        return outcome(deploy_component(specification=specification, deferrable=deferrable))

    actions = []
    for version in ("1", "1", "2"):
        push(version)
        end = deploy()
        assert end.error is None, end.error
        assert "@sha256:" in end.details["specification"]["Container"]["Image"]
        actions.append(end.details["action"])
    assert actions == ["create", "unchanged", "update"]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
@pytest.mark.slow
def test_a_smoke_test_asks_the_component_itself(process_aws: LocalAws, deferrable: bool) -> None:
    aws = process_aws
    image = Deployer(aws).push_image()
    make_host(aws)

    def deploy(version: str, expected: str, **options: Any) -> Any:
        specification = InferenceComponentSpecification(
            image=image,
            environment={"VERSION": version},
            requirements=NEEDS,
            container_startup_health_check_timeout=60,
        )
        test = SmokeTest(
            body="1,2",
            content_type="text/csv",
            expect=Expectation(subset={"version": expected}),
            **options,
        )
        return outcome(deploy_component(specification=specification, smoke_test=test, deferrable=deferrable))

    assert deploy("1", "1").error is None
    wrong = deploy("2", "3")
    assert isinstance(wrong.error, SmokeTestFailedError), wrong.error
    assert "continues to serve" in str(wrong.error)
    assert version_of(aws) == "2"
    # The next run sees that it is unverified, and asks again.
    again = deploy("2", "2", inference_component_name="churn")
    assert again.error is None
    assert again.details["action"] == "unchanged"
