"""DeployEndpointOperator: every way in which a deployment can end, waited for in the worker and in the triggerer alike."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from airflow_sm_hosting import AllAtOnce, Canary
from airflow_sm_hosting.exceptions import (
    AlarmGoingOffError,
    ConflictError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    InvalidSpecError,
    NotFoundError,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.retries import why_hopeless
from airflow_sm_hosting.spec.tags import OURS, PREVIOUS_ENDPOINT_CONFIGS, RUN_AFTER
from tests.local_servers import local_server
from tests.operators.conftest import (
    _emptied,
    answered_with,
    answering,
    deploy,
    event_hook,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    sent,
    settled,
    tags_of,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
DETAILS = {
    "action",
    "endpoint_config_name",
    "previous_endpoint_config_name",
    "endpoint_arn",
    "seconds",
}


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


def details(
    action: str | None, config: str, previous: str | None = None, arn: str | None = ARN
) -> dict[str, Any]:
    return {
        "action": action,
        "endpoint_config_name": config,
        "previous_endpoint_config_name": previous,
        "endpoint_arn": arn,
    }


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    return with_configs(aws)


def with_configs(aws: LocalAws) -> LocalAws:
    make_model(aws)
    for name in ("c1", "c2", "c3"):
        make_config(aws, name)
    return aws


def make_alarm(aws: LocalAws, name: str, **members: Any) -> None:
    aws.client("cloudwatch").put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": "AWS/SageMaker",
            "MetricName": "ModelLatency",
            "Statistic": "Average",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1e5,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            # A state that a test sets stays, also when the alarm is evaluated the next time.
            "TreatMissingData": "ignore",
            **members,
        }
    )


def begin_update(aws: LocalAws, config: str) -> None:
    """Have somebody else begin an update."""
    aws.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName=config)


# Create, update, unchanged.


def test_an_endpoint_that_does_not_exist_is_created(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    end = outcome(deploy("c1", deferrable=deferrable, tags={"team": "churn"}))

    assert (end.error, end.value, end.ran.deferrals) == (None, "churn", int(deferrable))
    assert set(end.ran.details) == DETAILS
    assert end.details == details("create", "c1")
    found = settled(configs)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c1")
    tags = tags_of(configs, ARN)
    assert {**OURS, "team": "churn"}.items() <= tags.items()
    assert RUN_AFTER in tags


def test_an_endpoint_on_another_config_is_updated(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "c1")
    configs.clear_requests()

    end = outcome(deploy("c2", deferrable=deferrable))

    assert (end.error, end.value) == (None, "churn")
    assert set(end.ran.details) == DETAILS
    assert end.details == details("update", "c2", "c1")
    # What a rollback needs before, which run deployed after.
    assert operations(configs, mutating=True) == ["AddTags", "UpdateEndpoint", "AddTags"]
    assert tags_of(configs, ARN)[PREVIOUS_ENDPOINT_CONFIGS] == "c1"


def test_an_endpoint_on_the_config_is_left_alone(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    run_task(deploy("c1"))
    configs.clear_requests()

    end = outcome(deploy("c1", deferrable=deferrable))

    assert (end.error, end.value, end.ran.deferrals) == (None, "churn", 0)
    assert set(end.ran.details) == DETAILS
    assert end.details == details("unchanged", "c1")
    assert operations(configs) == ["DescribeEndpoint", "ListTags", "DescribeEndpointConfig"]


def test_a_config_named_after_its_content_need_not_be_described(configs: LocalAws, dag: DAG) -> None:
    make_config(configs, "c-0123456789")
    run_task(deploy("c-0123456789"))
    configs.clear_requests()

    assert outcome(deploy("c-0123456789")).details["action"] == "unchanged"
    assert operations(configs) == ["DescribeEndpoint", "ListTags"]


def test_a_config_that_was_created_again_under_its_name_is_refused(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    sagemaker = configs.client("sagemaker")
    run_task(deploy("c1"))
    sagemaker.delete_endpoint_config(EndpointConfigName="c1")
    # Without its config the endpoint serves on.
    assert outcome(deploy("c1", deferrable=deferrable)).details["action"] == "unchanged"
    make_config(configs, "c1")
    configs.clear_requests()

    end = outcome(deploy("c1", deferrable=deferrable))

    assert isinstance(end.error, ConflictError)
    assert re.search(
        r"Endpoint churn serves config c1 as it was at .* created again at .* unique_name=True",
        str(end.error),
    )
    assert operations(configs, mutating=True) == []
    # The way out: another name.
    make_config(configs, "c1-anew")
    assert outcome(deploy("c1-anew", deferrable=deferrable)).details["action"] == "update"
    assert outcome(deploy("c1-anew", deferrable=deferrable)).details["action"] == "unchanged"
    # Its config is older than this deployment.
    assert outcome(deploy("c1", deferrable=deferrable)).details["action"] == "update"
    assert outcome(deploy("c1", deferrable=deferrable)).details["action"] == "unchanged"


def test_tags_of_an_unchanged_endpoint_are_reconciled(configs: LocalAws, dag: DAG) -> None:
    run_task(deploy("c1", tags={"team": "a", "stage": "test"}))
    configs.client("sagemaker").add_tags(ResourceArn=ARN, Tags=[{"Key": "theirs", "Value": "1"}])
    configs.clear_requests()

    run_task(deploy("c1", tags={"team": "b", "stage": "test"}))

    assert operations(configs, mutating=True) == ["AddTags"]
    assert {"team": "b", "stage": "test", "theirs": "1"}.items() <= tags_of(configs, ARN).items()


def test_links_are_pushed_also_by_a_task_that_fails(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "c1", tags={})
    end = outcome(deploy("c2", deferrable=deferrable))
    assert isinstance(end.error, ConflictError)
    page = f"{configs.endpoint_url}/_sm_hosting/ui"
    assert end.ran.xcoms["endpoint_link"] == f"{page}/endpoints/churn?region=us-east-1"
    assert end.ran.xcoms["endpoint_logs_link"] == f"{page}/logs/endpoints/churn?region=us-east-1"


def test_an_update_is_not_called_a_rollback_before_it_is_seen(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    """Right after UpdateEndpoint, DescribeEndpoint may still answer what was before (eventual consistency)."""
    make_endpoint(configs, "c1")
    before = configs.client("sagemaker").describe_endpoint(EndpointName="churn")
    describes = iter(range(100))

    def stale(parsed: dict[str, Any]) -> None:
        if next(describes) == 1:  # the first look of the wait
            parsed.clear()
            parsed.update(before)

    with answered_with(sagemaker_client(), "DescribeEndpoint", stale):
        end = outcome(deploy("c2", deferrable=deferrable))
    assert (end.error, end.details) == (None, details("update", "c2", "c1"))


@pytest.mark.slow
def test_two_at_once_create_one_endpoint(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    def other(**_: Any) -> None:
        make_endpoint(configs, "c1")

    with event_hook(sagemaker_client(), "before-call.*.CreateEndpoint", other):
        end = outcome(deploy("c1", deferrable=deferrable))
    assert (end.error, end.value) == (None, "churn")
    assert settled(configs)["EndpointConfigName"] == "c1"


# Something else goes on.


@pytest.mark.parametrize("operation", ["ListTags", "AddTags", "UpdateEndpoint"])
@pytest.mark.slow
def test_an_endpoint_that_is_deleted_between_two_calls_is_a_failed_deployment(
    configs: LocalAws, dag: DAG, deferrable: bool, operation: str
) -> None:
    make_endpoint(configs, "c1")

    def other(**_: Any) -> None:
        sagemaker = configs.client("sagemaker")
        if sagemaker.list_endpoints()["Endpoints"]:
            sagemaker.delete_endpoint(EndpointName="churn")
            sagemaker.get_waiter("endpoint_deleted").wait(EndpointName="churn", WaiterConfig={"Delay": 0})

    with event_hook(sagemaker_client(), f"before-call.*.{operation}", other):
        end = outcome(deploy("c2", deferrable=deferrable))

    assert type(end.error) is DeploymentFailedError
    assert "Endpoint churn was deleted while this task deployed to it" in str(end.error)
    assert f"{operation}: Could not find" in str(end.error)
    assert set(end.ran.details) == DETAILS
    assert why_hopeless(end.error) is None
    # The next try.
    assert outcome(deploy("c2", deferrable=deferrable)).details["action"] == "create"


@pytest.mark.slow
def test_a_deployment_on_its_way_to_the_config_is_joined(
    slow_aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(with_configs(slow_aws), "c1")
    begin_update(slow_aws, "c2")
    slow_aws.clear_requests()

    end = outcome(deploy("c2", deferrable=deferrable))

    assert (end.error, end.value) == (None, "churn")
    assert set(end.ran.details) == DETAILS
    assert end.details == details("join", "c2", "c1")
    assert operations(slow_aws, mutating=True) == ["AddTags"]


@pytest.mark.slow
def test_another_deployment_is_waited_for_and_then_it_is_decided(
    slow_aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(with_configs(slow_aws), "c1")
    begin_update(slow_aws, "c2")
    slow_aws.clear_requests()

    end = outcome(deploy("c3", deferrable=deferrable))

    assert (end.error, end.value) == (None, "churn")
    assert end.details == details("update", "c3", "c2")
    assert operations(slow_aws, mutating=True) == ["AddTags", "UpdateEndpoint", "AddTags"]
    assert end.ran.deferrals == (2 if deferrable else 0)


def test_without_waiting_a_joined_deployment_is_not_waited_for(
    slow_aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(with_configs(slow_aws), "c1")
    begin_update(slow_aws, "c2")
    end = outcome(deploy("c2", deferrable=deferrable, wait_for_completion=False))
    assert (end.error, end.value, end.ran.deferrals) == (None, "churn", 0)
    assert end.details["action"] == "join"


def test_without_waiting_a_created_endpoint_is_left_creating(
    slow_aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    with_configs(slow_aws)
    end = outcome(deploy("c1", deferrable=deferrable, wait_for_completion=False))
    assert (end.error, end.value, end.ran.deferrals) == (None, "churn", 0)
    assert (
        slow_aws.client("sagemaker").describe_endpoint(EndpointName="churn")["EndpointStatus"] == "Creating"
    )
    assert end.details["action"] == "create"
    assert end.details["endpoint_config_name"] == "c1"


def test_without_waiting_the_details_of_an_update_name_the_config_that_was_deployed(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(configs, "c1")
    end = outcome(deploy("c2", deferrable=deferrable, wait_for_completion=False))
    assert (end.error, end.ran.deferrals) == (None, 0)
    assert end.details == details("update", "c2", "c1")


# Failed endpoints, and those that are not ours.


@pytest.fixture
def failed(configs: LocalAws) -> LocalAws:
    make_config(configs, "bad", make_broken_model(configs))
    make_endpoint(configs, "bad")
    assert settled(configs)["EndpointStatus"] == "Failed"
    configs.clear_requests()
    return configs


def test_a_failed_endpoint_is_replaced(failed: LocalAws, dag: DAG, deferrable: bool) -> None:
    end = outcome(deploy("c1", deferrable=deferrable))
    assert (end.error, end.value) == (None, "churn")
    assert end.details == details("replace", "c1")
    assert operations(failed, mutating=True) == ["DeleteEndpoint", "CreateEndpoint"]
    assert OURS.items() <= tags_of(failed, ARN).items()


@pytest.mark.parametrize("no", [False, "{{ 1 == 2 }}"])
def test_a_failed_endpoint_is_not_replaced_where_that_is_not_wanted(
    failed: LocalAws, dag: DAG, deferrable: bool, no: Any
) -> None:
    end = outcome(deploy("c1", deferrable=deferrable, replace_failed_endpoint=no))
    assert isinstance(end.error, ConflictError)
    assert "churn is Failed (Please make sure all images" in str(end.error)
    assert "replace_failed_endpoint=True" in str(end.error)
    assert operations(failed, mutating=True) == []


def test_a_new_endpoint_that_fails_is_an_error_with_the_reason(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_config(configs, "bad", make_broken_model(configs))
    end = outcome(deploy("bad", deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error).startswith(
        "Endpoint churn is Failed on bad; requested: bad. It does not serve. Reason: Please make sure all images "
    )
    assert end.details == details("create", "bad")
    assert {key: end.error.details[key] for key in end.details} == end.details


def test_an_endpoint_that_is_not_ours_is_not_touched(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "c1", tags={"owner": "cdk"})
    configs.clear_requests()
    end = outcome(deploy("c2", deferrable=deferrable))
    assert type(end.error) is ConflictError
    assert str(end.error) == (
        "endpoint churn exists without this package's tags, so something else created it; adopt=True takes it over"
    )
    assert operations(configs, mutating=True) == []


@pytest.mark.parametrize("config", ["c1", "c2"])
def test_an_endpoint_is_adopted(configs: LocalAws, dag: DAG, deferrable: bool, config: str) -> None:
    make_endpoint(configs, "c1", tags={"owner": "cdk"})
    end = outcome(deploy(config, deferrable=deferrable, adopt=True))
    assert (end.error, end.value) == (None, "churn")
    assert settled(configs)["EndpointConfigName"] == config
    assert {**OURS, "owner": "cdk"}.items() <= tags_of(configs, ARN).items()


def test_a_foreign_endpoint_that_serves_the_config_already_is_not_touched(
    configs: LocalAws, dag: DAG
) -> None:
    make_endpoint(configs, "c1", tags={"owner": "cdk"})
    configs.clear_requests()
    assert outcome(deploy("c1", tags={"team": "a"})).details["action"] == "unchanged"
    assert operations(configs, mutating=True) == []


# Overtaken.

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def test_an_overtaken_run_is_skipped(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    run_task(deploy("c2"), run_after=LATE)
    configs.clear_requests()

    end = outcome(deploy("c1", deferrable=deferrable), run_after=EARLY)

    assert type(end.error) is AirflowSkipException
    assert str(end.error) == (
        "endpoint churn was deployed by a newer run, due 2026-01-02T00:00:00.000+00:00, and stays on c2; "
        "allow_older=True deploys this run's config anyway"
    )
    assert set(end.ran.details) == DETAILS
    assert end.details == details("overtaken", "c2")
    assert operations(configs, mutating=True) == []


@pytest.mark.parametrize("yes", [True, "{{ 1 == 1 }}"])
def test_an_older_run_deploys_where_it_may(configs: LocalAws, dag: DAG, deferrable: bool, yes: Any) -> None:
    run_task(deploy("c2"), run_after=LATE)
    end = outcome(deploy("c1", deferrable=deferrable, allow_older=yes), run_after=EARLY)
    assert (end.error, end.details) == (None, details("update", "c1", "c2"))


def test_a_newer_run_in_progress_is_not_waited_for(slow_aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    with_configs(slow_aws)
    run_task(deploy("c2", wait_for_completion=False), run_after=LATE)
    end = outcome(deploy("c1", deferrable=deferrable), run_after=EARLY)
    assert type(end.error) is AirflowSkipException
    assert "stays on c2" in str(end.error)
    assert end.ran.deferrals == 0


def test_the_same_run_may_deploy_again_and_a_newer_one_too(configs: LocalAws, dag: DAG) -> None:
    run_task(deploy("c1"), run_after=EARLY)
    assert outcome(deploy("c2"), run_after=EARLY).error is None
    assert outcome(deploy("c3"), run_after=LATE).error is None


# Rolled back, or broken otherwise.


def test_a_rolled_back_update_is_a_failure(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_config(configs, "bad", make_broken_model(configs))
    make_endpoint(configs, "c1")
    end = outcome(deploy("bad", deferrable=deferrable))
    assert type(end.error) is DeploymentRolledBackError
    assert str(end.error).startswith(
        "SageMaker rolled endpoint churn back: it serves c1, not bad as requested. Reason: Please make sure all images "
    )
    assert set(end.ran.details) == DETAILS
    assert end.details == details("update", "c1", "c1")


def test_a_silent_rollback_is_a_failure_too(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    """The reason may be empty (hashicorp/terraform-provider-aws 49020); the local AWS always gives one."""
    make_config(configs, "bad", make_broken_model(configs))
    make_endpoint(configs, "c1")
    with answered_with(
        sagemaker_client(), "DescribeEndpoint", lambda found: found.pop("FailureReason", None)
    ):
        end = outcome(deploy("bad", deferrable=deferrable))
    assert type(end.error) is DeploymentRolledBackError
    assert str(end.error) == (
        "Endpoint churn went back: it serves c1, not bad as requested. SageMaker gives no reason: it has rolled the endpoint back "
        "silently, or another update has; see the endpoint's logs and its events in CloudTrail."
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("OutOfService", "It does not serve. Reason: why"),
        ("UpdateRollbackFailed", "It may serve a mix of the old and the new config. Reason: why"),
    ],
)
def test_broken_endpoints_are_failures(
    configs: LocalAws, dag: DAG, deferrable: bool, status: str, words: str
) -> None:
    """Statuses that the local AWS has no way into."""
    make_endpoint(configs, "c1")

    def broken(found: dict[str, Any]) -> None:
        if found["EndpointConfigName"] == "c2":
            found.update(EndpointStatus=status, FailureReason="why")

    with answered_with(sagemaker_client(), "DescribeEndpoint", broken):
        end = outcome(deploy("c2", deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error).startswith(f"Endpoint churn is {status} on c2; requested: c2. {words} The cause")
    assert "not known" in str(end.error)
    assert end.details == details("update", "c2", "c1")


def test_an_endpoint_that_is_deleted_meanwhile_is_a_failure(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(configs, "c1")

    def deleted(found: dict[str, Any]) -> None:
        if found["EndpointConfigName"] == "c2" or found["EndpointStatus"] == "Updating":
            found["EndpointStatus"] = "Deleting"

    with answered_with(sagemaker_client(), "DescribeEndpoint", deleted):
        end = outcome(deploy("c2", deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error) == "Endpoint churn is being deleted while c2 is being deployed."


# Time, throttling, permission.


@pytest.mark.slow
def test_the_time_budget_ends_both_waits_alike_and_the_next_try_joins(
    monkeypatch: pytest.MonkeyPatch, dag: DAG, deferrable: bool
) -> None:
    aws = with_configs(_emptied(local_server(transition_seconds=1.4), monkeypatch))
    end = outcome(deploy("c1", deferrable=deferrable, timeout=1))

    assert type(end.error) is DeploymentTimeoutError
    assert str(end.error) == (
        "Endpoint churn: the time budget ended after 1 s (Creating, on config c1, variant main Creating). Nothing was stopped: "
        "any operation in progress continues in AWS, and the next try joins it."
    )
    assert end.details["action"] == "create"
    assert end.details["endpoint_config_name"] == "c1"
    aws.clear_requests()
    again = outcome(deploy("c1", deferrable=deferrable))
    assert (again.error, again.details["action"]) == (None, "join")
    assert operations(aws, mutating=True) == ["AddTags"]


def test_throttled_and_failing_describes_do_not_end_a_wait(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    client = sagemaker_client()
    answers = (
        None,  # the look before the decision
        refusal("ThrottlingException", "Rate exceeded"),  # all other faults: tests/triggers
    )
    with answering(client, "DescribeEndpoint", *answers) as left:
        end = outcome(deploy("c1", deferrable=deferrable))
        assert left == []
    assert (end.error, end.details) == (None, details("create", "c1"))


def test_a_missing_permission_ends_both_waits_alike(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    denied = refusal("AccessDeniedException", "You may not describe it")
    with answering(sagemaker_client(), "DescribeEndpoint", None, denied):
        end = outcome(deploy("c1", deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error) == (
        "Endpoint churn could not be described: ClientError: An error occurred (AccessDeniedException) when calling the "
        "DescribeEndpoint operation: You may not describe it"
    )
    assert end.details["action"] == "create"


@pytest.mark.slow
def test_what_another_run_began_is_waited_for_when_it_was_quicker_to_update(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(configs, "c1")
    busy = refusal("ValidationException", f'Cannot update in-progress endpoint "{ARN}".')
    with answering(sagemaker_client(), "UpdateEndpoint", busy):
        end = outcome(deploy("c2", deferrable=deferrable))
    assert (end.error, end.details) == (None, details("update", "c2", "c1"))


@pytest.mark.slow
def test_a_throttled_describe_between_two_waits_does_not_fail_the_task(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    """Throttling never fails a wait (design, 4), so neither the look that decides again after one."""
    make_endpoint(configs, "c1")
    busy = refusal("ValidationException", f'Cannot update in-progress endpoint "{ARN}".')
    throttled = refusal("ThrottlingException", "Rate exceeded")
    client = sagemaker_client()
    with (
        answering(client, "UpdateEndpoint", busy),
        answering(client, "DescribeEndpoint", None, None, throttled) as left,
    ):
        end = outcome(deploy("c2", deferrable=deferrable))
        assert left == []
    assert end.error is None


# What is sent.


def test_rollout_and_alarms_reach_the_update(virtual_aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    configs = with_configs(virtual_aws)
    make_config(configs, "narrow", InitialInstanceCount=4)
    make_config(configs, "wide", InitialInstanceCount=4)
    make_endpoint(configs, "narrow")
    make_alarm(configs, "errors")
    make_alarm(configs, "latency")
    rollout = Canary(size="25%", wait_interval=60, auto_rollback_alarms=["errors"])
    with sent(sagemaker_client(), "UpdateEndpoint") as updates:
        run_task(deploy("wide", rollout=rollout, auto_rollback_alarms=["latency"], deferrable=deferrable))
    [update] = updates
    assert update["DeploymentConfig"]["AutoRollbackConfiguration"] == {
        "Alarms": [{"AlarmName": "errors"}, {"AlarmName": "latency"}]
    }
    routing = update["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25},
        "WaitIntervalInSeconds": 60,
    }
    assert rollout["AutoRollbackConfiguration"] == {"Alarms": [{"AlarmName": "errors"}]}  # not mutated
    assert settled(configs)["LastDeploymentConfig"] == update["DeploymentConfig"]


def test_alarms_alone_have_no_bake_to_go_off_in(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "c1")
    make_alarm(configs, "latency")
    configs.clear_requests()

    error = outcome(deploy("c2", auto_rollback_alarms=["latency"], deferrable=deferrable)).error

    assert isinstance(error, InvalidSpecError)
    assert "needs 1 × 60 s = 60 s of breaching data, and the rollout gives it 0 s" in str(error)
    assert operations(configs, mutating=True) == []


def test_an_alarm_that_does_not_exist_rolls_nothing_back(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    configs.clear_requests()

    rollout = AllAtOnce(termination_wait=120, auto_rollback_alarms=["latency"])
    error = outcome(deploy("c2", rollout=rollout)).error

    assert isinstance(error, InvalidSpecError)
    assert "alarm latency does not exist" in str(error)
    assert operations(configs, mutating=True) == []


def test_an_alarm_that_is_going_off_already_is_waited_out_by_a_retry(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    make_alarm(configs, "latency")
    configs.client("cloudwatch").set_alarm_state(AlarmName="latency", StateValue="ALARM", StateReason="slow")
    configs.clear_requests()

    rollout = AllAtOnce(termination_wait=120, auto_rollback_alarms=["latency"])
    task = deploy("c2", rollout=rollout)
    error = outcome(task).error

    assert isinstance(error, AlarmGoingOffError)
    assert "alarm latency is already in ALARM (slow)" in str(error)
    assert operations(configs, mutating=True) == []
    assert why_hopeless(error) is None


def test_an_alarm_is_waited_for_where_that_is_wanted(
    virtual_aws: LocalAws, dag: DAG, short_pauses: None, deferrable: bool
) -> None:
    from airflow_sm_hosting.hooks import CloudWatchHook

    configs = with_configs(virtual_aws)
    make_endpoint(configs, "c1")
    make_alarm(configs, "latency")
    cloudwatch, polls = configs.client("cloudwatch"), []
    cloudwatch.set_alarm_state(AlarmName="latency", StateValue="ALARM", StateReason="slow")

    def polled(**_: Any) -> None:
        polls.append(operations(configs, mutating=True).count("UpdateEndpoint"))
        if len(polls) == 3:
            cloudwatch.set_alarm_state(AlarmName="latency", StateValue="OK", StateReason="fast again")

    rollout = AllAtOnce(termination_wait=120, auto_rollback_alarms=["latency"])
    with event_hook(CloudWatchHook().conn, "after-call.*.DescribeAlarms", polled):
        task = deploy("c2", rollout=rollout, wait_for_alarms=True, deferrable=deferrable)
        end = outcome(task)

    assert end.error is None
    assert end.details["action"] == "update"
    assert polls == [0, 0, 0, 0]


def test_an_alarm_that_stays_on_ends_the_wait_with_the_time_budget(
    configs: LocalAws, dag: DAG, short_pauses: None
) -> None:
    make_endpoint(configs, "c1")
    make_alarm(configs, "latency")
    configs.client("cloudwatch").set_alarm_state(AlarmName="latency", StateValue="ALARM", StateReason="slow")

    rollout = AllAtOnce(termination_wait=120, auto_rollback_alarms=["latency"])
    error = outcome(deploy("c2", rollout=rollout, wait_for_alarms=True, timeout=1)).error

    assert isinstance(error, AlarmGoingOffError)
    assert "wait until it is OK" in str(error)


def test_a_rollout_that_the_variants_exclude_is_refused_before_the_update(
    configs: LocalAws, dag: DAG
) -> None:
    make_endpoint(configs, "c1")
    configs.clear_requests()

    error = outcome(deploy("c2", rollout=Canary(size="10%", wait_interval=60))).error

    assert isinstance(error, ConflictError)
    assert "a canary needs at least two instances, and variant main has one" in str(error)
    assert operations(configs, mutating=True) == []


@pytest.mark.parametrize(("before", "after", "refused"), [(4, 1, True), (1, 4, False)])
def test_a_canary_is_measured_by_the_fleet_that_comes(
    virtual_aws: LocalAws, dag: DAG, before: int, after: int, refused: bool
) -> None:
    configs = with_configs(virtual_aws)
    make_config(configs, "now", InitialInstanceCount=before)
    make_config(configs, "then", InitialInstanceCount=after)
    make_endpoint(configs, "now")

    error = outcome(deploy("then", rollout=Canary(size=1, wait_interval=60))).error

    assert isinstance(error, ConflictError) is refused
    assert error is None or refused


def test_rendered_numbers_of_a_rollout_are_typed_back(virtual_aws: LocalAws, dag: DAG) -> None:
    make_endpoint(with_configs(virtual_aws), "c1")
    rollout = AllAtOnce(termination_wait="{{ 2 * 60 }}")
    with sent(sagemaker_client(), "UpdateEndpoint") as updates:
        run_task(deploy("c2", rollout=rollout, timeout="{{ 60 }}", poll_interval="{{ 1 }}"))
    assert updates[0]["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TerminationWaitInSeconds"] == 120


def test_a_rendered_canary_size_is_understood(virtual_aws: LocalAws, dag: DAG) -> None:
    configs = with_configs(virtual_aws)
    make_config(configs, "wide", InitialInstanceCount=4)
    make_config(configs, "narrow", InitialInstanceCount=4)
    make_endpoint(configs, "narrow")
    rollout = Canary(size="{{ '25' }}%", wait_interval="{{ 60 }}")
    with sent(sagemaker_client(), "UpdateEndpoint") as updates:
        run_task(deploy("wide", rollout=rollout))
    routing = updates[0]["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["CanarySize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}


# Bad input is an error before the first AWS call.


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint_name": "{{ 'a_b' }}"},
        {"endpoint_config_name": "{{ none }}"},
        {"timeout": "{{ 'soon' }}"},
        {"poll_interval": "{{ 'often' }}"},
        {"adopt": "{{ 'maybe' }}"},
        {"allow_older": "{{ 'maybe' }}"},
        {"replace_failed_endpoint": "{{ 'maybe' }}"},
        {"retain_variant_properties": "{{ 'maybe' }}"},
        {"tags": "{{ 'team' }}"},
        {"auto_rollback_alarms": "{{ 'latency' }}"},
        {"rollout": {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": "{{ 1 }}"}}},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_rendered_values_that_cannot_be_are_errors_before_the_first_call(
    configs: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    make_endpoint(configs, "c1")
    configs.clear_requests()
    end = outcome(deploy("c2", **bad))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(configs) == []


def test_bad_literals_break_the_dag_file(dag: DAG) -> None:
    for bad in (
        {"endpoint_name": "a_b"},
        {"poll_interval": 0},
        {"timeout": 0},
        {"timeout": timedelta(days=15)},
        {"retain_variant_properties": "some"},
        {"rollout": "canary"},
    ):
        with pytest.raises(InvalidSpecError):
            deploy("c1", **bad)


def test_an_update_to_a_config_that_does_not_exist_is_a_clear_error(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    with pytest.raises(NotFoundError, match="no endpoint config 'gone'"):
        run_task(deploy("gone"))


# Instance counts and weights over an update.


@pytest.fixture
def two_variants(aws: LocalAws) -> LocalAws:
    """An endpoint whose variant ``main`` has 4 instances now, and ``other`` weight 5; c2 says 1 and 3 instances, weight 1."""
    make_model(aws)
    client = aws.client("sagemaker")
    for name, count in (("c1", 1), ("c2", 3)):
        client.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": "model",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": count if variant == "other" else 1,
                }
                for variant in ("main", "other")
            ],
        )
    make_endpoint(aws, "c1")
    client.update_endpoint_weights_and_capacities(
        EndpointName="churn",
        DesiredWeightsAndCapacities=[
            {"VariantName": "main", "DesiredInstanceCount": 4},
            {"VariantName": "other", "DesiredWeight": 5},
        ],
    )
    settled(aws)
    return aws


def make_scalable(aws: LocalAws) -> None:
    aws.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/churn/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=8,
    )


def counts_and_weights(aws: LocalAws) -> dict[str, tuple[int, float]]:
    return {
        variant["VariantName"]: (variant["DesiredInstanceCount"], variant["DesiredWeight"])
        for variant in settled(aws)["ProductionVariants"]
    }


@pytest.mark.parametrize(
    ("retain", "scalable", "expected", "calls"),
    [
        ("auto", True, {"main": (4, 1.0), "other": (3, 1.0)}, 1),
        ("auto", False, {"main": (1, 1.0), "other": (3, 1.0)}, 0),
        (True, True, {"main": (4, 1.0), "other": (1, 5.0)}, 0),
        ("{{ true }}", False, {"main": (4, 1.0), "other": (1, 5.0)}, 0),
        (False, True, {"main": (1, 1.0), "other": (3, 1.0)}, 0),
        ("False", False, {"main": (1, 1.0), "other": (3, 1.0)}, 0),
    ],
)
def test_what_an_update_keeps(
    two_variants: LocalAws,
    dag: DAG,
    deferrable: bool,
    retain: Any,
    scalable: bool,
    expected: dict[str, Any],
    calls: int,
) -> None:
    if scalable:
        make_scalable(two_variants)
    retain = "{{ 'False' }}" if retain == "False" else retain
    with sent(sagemaker_client(), "UpdateEndpointWeightsAndCapacities") as changes:
        end = outcome(deploy("c2", retain_variant_properties=retain, deferrable=deferrable))
    assert (end.error, end.details) == (None, details("update", "c2", "c1"))
    assert counts_and_weights(two_variants) == expected
    assert len(changes) == calls
    assert all(
        change["DesiredWeightsAndCapacities"] == [{"VariantName": "other", "DesiredInstanceCount": 3}]
        for change in changes
    )


def test_unscaled_counts_are_set_by_the_next_try_if_this_one_died(
    two_variants: LocalAws, dag: DAG, deferrable: bool
) -> None:
    """Unscaled counts are part of what success means (design, 4): a retry that finds them undone may not call it unchanged."""
    make_scalable(two_variants)
    died = RuntimeError("the worker died")
    with answering(sagemaker_client(), "UpdateEndpointWeightsAndCapacities", died):
        assert outcome(deploy("c2", deferrable=deferrable)).error is died
    assert counts_and_weights(two_variants)["other"] == (1, 1.0)

    assert outcome(deploy("c2", deferrable=deferrable)).error is None
    assert counts_and_weights(two_variants)["other"] == (3, 1.0)


def test_a_shift_of_weights_is_no_drift(two_variants: LocalAws, dag: DAG) -> None:
    two_variants.clear_requests()
    assert outcome(deploy("c1")).details["action"] == "unchanged"
    assert operations(two_variants, mutating=True) == []


def test_a_count_that_was_to_be_set_for_another_config_is_left_alone(configs: LocalAws, dag: DAG) -> None:
    """An update to c2 was rolled back before its count was set; c1 is asked for again."""
    make_endpoint(configs, "c1", tags={**OURS, "sm-hosting:pending-count:main": "c2:3"})
    configs.clear_requests()
    assert outcome(deploy("c1")).details["action"] == "unchanged"
    assert operations(configs, mutating=True) == []


def test_a_refused_update_overtakes_no_older_run(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    now = datetime.now(UTC)
    with answering(sagemaker_client(), "UpdateEndpoint", refusal("ResourceLimitExceeded")):
        assert outcome(deploy("c2"), run_after=now).error is not None
    older = outcome(deploy("c2"), run_after=now - timedelta(hours=1))
    assert (older.error, older.details["action"]) == (None, "update")
