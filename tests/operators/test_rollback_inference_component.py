"""The specification before: a rollback of an inference component, and a plan of what a deployment would do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting import (
    ContainerImage,
    InferenceComponentSpecification,
    PlanInferenceComponentOperator,
    RollbackInferenceComponentOperator,
    Rolling,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.operators.components import (
    NEEDS,
    deploy_component,
    make_component,
    make_host,
    make_models,
    specification,
)
from tests.operators.conftest import (
    IMAGE,
    make_broken_model,
    operations,
    outcome,
    settled_component,
    tags_of,
    task_id,
)

pytestmark = pytest.mark.usefixtures("dag")

both = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
FIRST = datetime(2026, 11, 23, tzinfo=UTC)


def due(hours: int) -> datetime:
    return FIRST + timedelta(hours=hours)


def rollback(**given: Any) -> RollbackInferenceComponentOperator:
    return RollbackInferenceComponentOperator(
        **{
            "task_id": task_id("rollback"),
            "inference_component_name": "churn",
            "poll_interval": 0.1,
            "timeout": 120,
            **given,
        }
    )


def plan(model: str = "model", **given: Any) -> PlanInferenceComponentOperator:
    return PlanInferenceComponentOperator(
        **{
            "task_id": task_id("plan"),
            "inference_component_name": "churn",
            "endpoint_name": "host",
            "variant_name": "main",
            "specification": specification(model),
            **given,
        }
    )


@pytest.fixture
def host(aws: LocalAws) -> LocalAws:
    make_models(aws, "m1", "m2", "m3")
    make_host(aws)
    return aws


def model_of(aws: LocalAws) -> str:
    return str(settled_component(aws)["Specification"]["ModelName"])


@both
def test_a_rollback_goes_to_the_specification_before_and_a_later_run_further(
    host: LocalAws, deferrable: bool
) -> None:
    for hour, model in enumerate(("m1", "m2", "m3")):
        assert outcome(deploy_component(model), run_after=due(hour)).error is None
    end = outcome(rollback(deferrable=deferrable), run_after=due(3))
    assert (end.error, end.value) == (None, "churn")
    assert end.details["action"] == "rollback"
    assert end.details["specification"]["ModelName"] == "m2"
    assert end.details["previous_specification_name"].startswith("m3@")
    assert model_of(host) == "m2"

    host.clear_requests()
    again = outcome(rollback(deferrable=deferrable), run_after=due(3))
    assert again.error is None
    assert operations(host, mutating=True) == []
    assert model_of(host) == "m2"

    assert outcome(rollback(deferrable=deferrable), run_after=due(4)).error is None
    assert model_of(host) == "m1"


@both
def test_the_copies_stay(host: LocalAws, deferrable: bool) -> None:
    outcome(deploy_component("m1", copy_count=2), run_after=due(0))
    outcome(deploy_component("m2"), run_after=due(1))
    assert outcome(rollback(deferrable=deferrable), run_after=due(2)).error is None
    assert settled_component(host)["RuntimeConfig"]["CurrentCopyCount"] == 2


def test_a_deployment_after_a_rollback_goes_on(host: LocalAws) -> None:
    for hour, model in enumerate(("m1", "m2")):
        outcome(deploy_component(model), run_after=due(hour))
    outcome(rollback(), run_after=due(2))
    assert outcome(deploy_component("m3"), run_after=due(3)).error is None
    assert outcome(rollback(), run_after=due(4)).error is None
    assert model_of(host) == "m1"


def test_without_a_specification_before_there_is_no_rollback(host: LocalAws) -> None:
    assert isinstance(outcome(rollback()).error, NotFoundError)
    outcome(deploy_component("m1"), run_after=due(0))
    host.clear_requests()
    end = outcome(rollback(), run_after=due(1))
    assert isinstance(end.error, NotFoundError)
    assert "no previous specification" in str(end.error)
    assert operations(host, mutating=True) == []


def test_a_specification_with_an_environment_is_stored_nowhere(host: LocalAws) -> None:
    secret = InferenceComponentSpecification(image=IMAGE, environment={"TOKEN": "s3cr3t"}, requirements=NEEDS)
    outcome(deploy_component(specification=secret), run_after=due(0))
    outcome(deploy_component("m2"), run_after=due(1))
    end = outcome(rollback(), run_after=due(2))
    assert isinstance(end.error, NotFoundError)
    assert "not in its tags" in str(end.error)
    assert model_of(host) == "m2"


def test_a_component_of_others_is_only_rolled_back_when_adopted(host: LocalAws) -> None:
    make_component(host, "m1", tags={})
    assert isinstance(outcome(rollback()).error, NotFoundError)


def test_old_specifications_are_forgotten(host: LocalAws) -> None:
    for hour in range(9):
        assert outcome(deploy_component(f"m{hour % 3 + 1}"), run_after=due(hour)).error is None
    tags = tags_of(host, settled_component(host)["InferenceComponentArn"])
    stored = [key for key in tags if key.startswith("sm-hosting:specification:")]
    assert len(stored) == 3
    assert len(tags) < 20


def test_mistakes_are_told_at_parse() -> None:
    with pytest.raises(InvalidSpecError, match="without rollout"):
        rollback(auto_rollback_alarms=["errors"])


# Plans.


def planned(host: LocalAws, task: PlanInferenceComponentOperator) -> dict[str, Any]:
    host.clear_requests()
    end = outcome(task)
    assert end.error is None
    assert operations(host, mutating=True) == []
    assert end.value.startswith(f"## churn: {end.ran.details['action']}\n")
    return end.ran.details


def test_the_plan_of_a_creation(host: LocalAws) -> None:
    found = planned(host, plan("m1", copy_count=2))
    assert (found["action"], found["serving"], found["copies"]) == ("create", None, 2)
    assert found["target"].startswith("m1@")
    assert found["calls"] == ["CreateInferenceComponent"]


def test_the_plan_of_an_update_is_what_the_deployment_does(host: LocalAws) -> None:
    outcome(deploy_component("m1"), run_after=due(0))
    found = planned(host, plan("m2", copy_count=2))
    assert found["action"] == "update"
    assert found["changes"] == ["ModelName is 'm1', becomes 'm2'"]
    assert found["two_fleets"]
    assert found["copies"] == 2
    host.clear_requests()
    assert outcome(deploy_component("m2", copy_count=2)).error is None
    assert operations(host, mutating=True) == found["calls"]


def test_the_plan_of_what_serves_already(host: LocalAws) -> None:
    outcome(deploy_component("m1"), run_after=due(0))
    found = planned(host, plan("m1"))
    assert (found["action"], found["changes"], found["calls"]) == ("unchanged", [], [])


def test_the_plan_of_copies_alone_is_an_update(host: LocalAws) -> None:
    outcome(deploy_component("m1"), run_after=due(0))
    found = planned(host, plan("m1", copy_count=2))
    assert (found["action"], found["copies"]) == ("update", 2)
    assert found["calls"] == ["UpdateInferenceComponentRuntimeConfig"]
    assert "it has 1 copies, requested 2" in found["reason"]


def test_the_plan_of_copies_of_others_is_a_refusal(host: LocalAws) -> None:
    make_component(host, "m1", tags={})
    found = planned(host, plan("m1", copy_count=2))
    assert (found["action"], found["calls"]) == ("refuse", [])


@pytest.mark.parametrize("is_uri", [True, False])
def test_the_plan_of_an_image_by_tag_is_that_of_its_digest(host: LocalAws, is_uri: bool) -> None:
    repository = host.client("ecr").create_repository(repositoryName="churn")["repository"]
    Deployer(host).push_image({}, repository="churn", tag="1")
    image: Any = (
        f"{repository['repositoryUri']}:1" if is_uri else ContainerImage.from_ecr_repository("churn", "1")
    )
    of_image = InferenceComponentSpecification(image=image, requirements=NEEDS)
    assert outcome(deploy_component(specification=of_image), run_after=due(0)).error is None
    found = planned(host, plan(specification=of_image))
    assert (found["action"], found["changes"], found["calls"]) == ("unchanged", [], [])


def test_the_plan_of_a_refusal_has_the_reason(host: LocalAws) -> None:
    make_component(host, "m1", tags={})
    found = planned(host, plan("m2"))
    assert found["action"] == "refuse"
    assert "adopt=True" in found["reason"]


def test_the_plan_of_an_adapter(host: LocalAws) -> None:
    make_component(host, "m1", "base")
    adapter = InferenceComponentSpecification(
        base_inference_component_name="base", artifact_url="s3://models/adapter.tar.gz"
    )
    found = planned(host, plan(specification=adapter, variant_name=None))
    assert (found["action"], found["copies"]) == ("create", None)


def test_a_plan_names_the_alarms(host: LocalAws) -> None:
    make_component(host, "m1")
    rollout = Rolling(maximum_batch_size=1, wait_interval=60, auto_rollback_alarms=["absent"])
    found = planned(host, plan("m2", rollout=rollout))
    assert found["action"] == "refuse"
    assert "alarm absent does not exist" in found["reason"]


def test_a_newer_runs_specification_is_restored_by_an_older_run(host: LocalAws) -> None:
    """The older run's update reaches AWS after the newer one's: UpdateInferenceComponent has no compare-and-swap."""
    from tests.operators.conftest import event_hook, sagemaker_client

    outcome(deploy_component("m1"), run_after=due(0))
    done: list[bool] = []

    def newer_first(**_: Any) -> None:
        if not done:
            done.append(True)
            assert outcome(deploy_component("m3"), run_after=due(2)).error is None

    with event_hook(sagemaker_client(), "before-call.*.UpdateInferenceComponent", newer_first):
        end = outcome(deploy_component("m2"), run_after=due(1))
    assert type(end.error).__name__ == "AirflowSkipException"
    assert "restored" in str(end.error)
    assert model_of(host) == "m3"


def test_a_broken_rollback_target_is_a_failure(aws: LocalAws) -> None:
    broken = make_broken_model(aws, "gone")
    make_models(aws, "m1", "m2")
    make_host(aws)
    outcome(deploy_component("m1"), run_after=due(0))
    assert outcome(deploy_component(broken), run_after=due(1)).error is not None
    assert outcome(deploy_component("m2"), run_after=due(2)).error is None
    assert outcome(rollback(), run_after=due(3)).error is None
    assert model_of(aws) == "m1"


def test_a_component_of_others_without_tags_conflicts(host: LocalAws) -> None:
    outcome(deploy_component("m1"), run_after=due(0))
    outcome(deploy_component("m2"), run_after=due(1))
    arn = settled_component(host)["InferenceComponentArn"]
    host.client("sagemaker").delete_tags(ResourceArn=arn, TagKeys=["sm-hosting:managed-by"])
    assert isinstance(outcome(rollback(), run_after=due(2)).error, ConflictError)
    assert outcome(rollback(adopt=True), run_after=due(2)).error is None
    assert model_of(host) == "m1"
