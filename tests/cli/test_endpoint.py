"""``sm-hosting endpoint``: what it reads, what it changes, and that both are what the operators would do."""

from __future__ import annotations

import json
import logging
import os
import pty
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting.local import LocalAws
from tests.cli.conftest import Run, in_a_process
from tests.operators.conftest import (
    deploy,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    settled,
)


def test_list_has_status_config_since_and_instances(run: Run, deployed: LocalAws) -> None:
    make_endpoint(deployed, "a", "other", tags={})
    (churn, other) = json.loads(run("endpoint", "list", "--json").stdout)
    assert (churn["endpoint_name"], churn["status"], churn["endpoint_config_name"]) == (
        "churn",
        "InService",
        "b",
    )
    assert churn["serving_since"] is not None
    assert churn["variants"][0]["instances"] == 1
    assert (other["endpoint_name"], other["serving_since"]) == ("other", None)

    text = run("endpoint", "list", "--name-contains", "chu").stdout
    assert "InService" in text
    assert "other" not in text
    assert json.loads(run("endpoint", "list", "--status", "Failed", "--json").stdout) == []
    assert run("endpoint", "list", "--status", "Failed").stdout == "No endpoints in us-east-1.\n"


def test_show_has_what_serves_what_scales_and_what_a_rollback_would_do(run: Run, deployed: LocalAws) -> None:
    resource = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    deployed.client("application-autoscaling").register_scalable_target(
        **resource, MinCapacity=1, MaxCapacity=4
    )
    deployed.client("cloudwatch").put_metric_alarm(
        AlarmName="churn-latency",
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[
            {"Name": "EndpointName", "Value": "churn"},
            {"Name": "VariantName", "Value": "main"},
        ],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1e6,
        ComparisonOperator="GreaterThanThreshold",
    )
    found = json.loads(run("endpoint", "show", "churn", "--json").stdout)
    assert (found["endpoint_config_name"], found["deploying"], found["is_ours"]) == ("b", None, True)
    (variant,) = found["variants"]
    assert (variant["traffic_percent"], variant["instances"], variant["max_instances"]) == (100, 1, 4)
    assert (variant["instance_type"], variant["model_name"]) == ("ml.m5.large", "model")
    (alarm,) = found["alarms"]
    assert (alarm["alarm_name"], alarm["rolls_back"]) == ("churn-latency", False)
    assert found["rollback"] == {"endpoint_config_name": "a", "exists": True}
    assert [(one["endpoint_config_name"], one["state"]) for one in found["history"]] == [
        ("b", "serving"),
        ("a", "served before"),
    ]
    assert found["not_read"] == []
    text = run("endpoint", "show", "churn").stdout
    assert "1 to 4" in text
    assert "would go back to a" in text
    assert operations(deployed, mutating=True)[-1] == "PutMetricAlarm"


def test_a_deleted_rollback_target_is_said(run: Run, deployed: LocalAws) -> None:
    deployed.client("sagemaker").delete_endpoint_config(EndpointConfigName="a")
    assert "would go back to a, which was deleted" in run("endpoint", "show", "churn").stdout
    (_, before) = json.loads(run("endpoint", "history", "churn", "--json").stdout)
    assert before["models"] is None


@pytest.mark.parametrize("command", ["show", "history", "rollback"])
def test_an_absent_endpoint_is_1(run: Run, aws: LocalAws, command: str) -> None:
    result = run("endpoint", command, "absent", code=1)
    assert result.stderr.startswith("There is no endpoint 'absent' in us-east-1.\n")
    assert result.stdout == ""


def test_a_malformed_name_is_2(run: Run, aws: LocalAws) -> None:
    assert "EndpointName" in run("endpoint", "plan", "bad name", "a", code=2).stderr


def test_plan_says_what_would_change_and_changes_nothing(run: Run, deployed: LocalAws) -> None:
    make_config(deployed, "c", InitialInstanceCount=2)
    deployed.clear_requests()
    found = json.loads(run("endpoint", "plan", "churn", "c", "--json").stdout)
    assert (found["action"], found["serving"], found["target"]) == ("update", "b", "c")
    assert "UpdateEndpoint" in found["calls"]
    assert run("endpoint", "plan", "churn", "c").stdout.startswith("## churn: update\n")
    back = json.loads(run("endpoint", "plan", "churn", "--rollback", "--json").stdout)
    assert (back["action"], back["target"]) == ("update", "a")
    assert operations(deployed, mutating=True) == []
    assert "Give a CONFIG, or --rollback" in run("endpoint", "plan", "churn", code=2).stderr


def test_a_plan_that_would_be_refused_is_1(run: Run, aws: LocalAws) -> None:
    make_model(aws)
    make_config(aws, "a")
    make_config(aws, "b")
    make_endpoint(aws, "a", tags={})
    found = json.loads(run("endpoint", "plan", "churn", "b", "--json", code=1).stdout)
    assert found["action"] == "refuse"
    assert json.loads(run("endpoint", "plan", "churn", "b", "--adopt", "--json").stdout)["action"] == "update"


def test_the_traffic_of_a_plan_is_given_as_json(run: Run, deployed: LocalAws, tmp_path: Any) -> None:
    config = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0},
            "TerminationWaitInSeconds": 60,
        }
    }
    file = tmp_path / "rollout.json"
    file.write_text(json.dumps(config))
    for given in (json.dumps(config), f"@{file}"):
        found = run("endpoint", "plan", "churn", "a", "--deployment-config", given, "--json")
        assert json.loads(found.stdout)["two_fleets"] is True
    for given in ("[]", "{", "@absent"):
        run("endpoint", "plan", "churn", "a", "--deployment-config", given, code=2)


def test_a_rollback_is_that_of_the_operator(run: Run, deployed: LocalAws, dag: DAG) -> None:
    deployed.clear_requests()
    result = run("endpoint", "rollback", "churn", "--yes", "--poll-interval", "0.1", "--json")
    details = json.loads(result.stdout)
    assert (details["action"], details["endpoint_config_name"], details["previous_endpoint_config_name"]) == (
        "rollback",
        "a",
        "b",
    )
    assert settled(deployed)["EndpointConfigName"] == "a"
    assert operations(deployed, mutating=True) == ["AddTags", "UpdateEndpoint"]
    assert "- would serve: `a`" in result.stderr
    states = json.loads(run("endpoint", "history", "churn", "--json").stdout)
    assert [(one["endpoint_config_name"], one["state"]) for one in states] == [
        ("a", "serving"),
        ("b", "rolled back"),
    ]
    # Nothing is left to do, so nothing is asked.
    again = json.loads(run("endpoint", "rollback", "churn", "a", "--json").stdout)
    assert (again["action"], again["endpoint_config_name"]) == ("unchanged", "a")
    # A newer run of the DAG deploys again.
    assert outcome(deploy("b")).error is None


def test_a_deployment_that_sagemaker_rolled_back_is_undone(run: Run, aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    make_config(aws, "a")
    make_config(aws, "bad", make_broken_model(aws))
    assert outcome(deploy("a")).error is None
    assert outcome(deploy("bad")).error is not None
    states = json.loads(run("endpoint", "history", "churn", "--json").stdout)
    assert [(one["endpoint_config_name"], one["state"]) for one in states] == [
        ("a", "serving"),
        ("bad", "undone"),
    ]


def test_a_rollback_that_sagemaker_undoes_is_1_with_the_reason(run: Run, aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    make_config(aws, "a")
    make_config(aws, "bad", make_broken_model(aws))
    assert outcome(deploy("a")).error is None
    result = run("endpoint", "rollback", "churn", "bad", "--yes", "--poll-interval", "0.1", code=1)
    assert "SageMaker rolled endpoint churn back: it serves a, not bad as requested" in result.stderr
    assert "How to resolve it: https://" in result.stderr
    assert settled(aws)["EndpointConfigName"] == "a"


#: A rollout that lasts a minute.
CANARY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
            "WaitIntervalInSeconds": 60,
        }
    }
}


def test_ctrl_c_ends_the_wait_and_not_the_rollback(aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    for name in ("a", "b"):
        make_config(aws, name, InitialInstanceCount=2)
        assert outcome(deploy(name)).error is None
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "airflow_sm_hosting.cli", "endpoint", "rollback", "churn", "--yes"),
            *("--poll-interval", "0.2", "--deployment-config", json.dumps(CANARY)),
        ],
        env={**os.environ, **aws.environment()},
        stderr=subprocess.PIPE,
        text=True,
        # A suite that was started in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    said = iter(process.stderr.readline, "")
    assert any("baking" in line for line in said)
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert (process.returncode, "goes on in AWS" in rest, "Traceback" in rest) == (130, True, False)
    shown = in_a_process("endpoint", "show", "churn", "--json", aws=aws)
    found = json.loads(shown.stdout)
    assert (found["status"], found["endpoint_config_name"], found["deploying"]) == ("Updating", "b", "a")
    (stage,) = found["stages"]
    assert (stage["stage"], stage["instances"], stage["desired_instances"]) == ("Baking", 1, 2)


@pytest.mark.parametrize(("answer", "code", "serves"), [("n", 1, "b"), ("y", 0, "a")])
def test_a_rollback_asks_in_a_terminal(deployed: LocalAws, answer: str, code: int, serves: str) -> None:
    master, terminal = pty.openpty()
    try:
        os.write(master, f"{answer}\n".encode())
        done = in_a_process("endpoint", "rollback", "churn", aws=deployed, stdin=terminal)
    finally:
        os.close(terminal)
        os.close(master)
    assert "Roll churn back to a? [y/N]" in done.stderr
    assert (done.returncode, settled(deployed)["EndpointConfigName"]) == (code, serves)
    assert ("churn serves a (" in done.stdout) == (code == 0)


def test_without_a_terminal_a_rollback_wants_yes(run: Run, deployed: LocalAws) -> None:
    result = run("endpoint", "rollback", "churn", code=2)
    assert "Give --yes" in result.stderr
    assert settled(deployed)["EndpointConfigName"] == "b"


def test_logs_of_a_variant_since_a_while(run: Run, aws: LocalAws) -> None:
    logs, group = aws.client("logs"), "/aws/sagemaker/Endpoints/churn"
    logs.create_log_group(logGroupName=group)
    now = int(time.time() * 1000)
    for stream, message, age in (("main/i-1", "old", 7200), ("main/i-1", "new", 5), ("next/i-2", "other", 4)):
        if stream not in [
            one["logStreamName"] for one in logs.describe_log_streams(logGroupName=group)["logStreams"]
        ]:
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": now - age * 1000, "message": message}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
    said = run("endpoint", "logs", "churn", "--since", "1h").stdout
    assert said.splitlines() == ["main/i-1  new", "next/i-2  other"]
    (line,) = run("endpoint", "logs", "churn", "--variant", "next", "--json").stdout.splitlines()
    assert (json.loads(line)["stream"], json.loads(line)["message"]) == ("next/i-2", "other")
    assert "has written any logs" in run("endpoint", "logs", "absent", code=1).stderr


def test_every_member_that_a_caller_may_not_read_is_named(run: Run, deployed: LocalAws) -> None:
    with (
        deployed.fault("error", operation="DescribeAlarms", code="AccessDeniedException", status=400),
        deployed.fault(
            "error", operation="DescribeScalableTargets", code="AccessDeniedException", status=400
        ),
    ):
        found = json.loads(run("endpoint", "show", "churn", "--json").stdout)
        assert found["not_read"] == ["scaling", "alarms"]
        assert (
            "Not read, as the permission is missing: scaling, alarms"
            in run("endpoint", "show", "churn").stdout
        )
    with deployed.fault("error", operation="DescribeEndpoint", code="AccessDeniedException", status=400):
        assert "AccessDeniedException" in run("endpoint", "show", "churn", code=1).stderr


def test_connection_options_come_before_the_environment(aws: LocalAws, tmp_path: Any) -> None:
    make_model(aws)
    make_config(aws, "a")
    make_endpoint(aws, "a")
    config = tmp_path / "credentials"
    config.write_text(
        f"[mine]\naws_access_key_id = {aws.access_key}\naws_secret_access_key = {aws.secret_key}\n"
    )
    done = in_a_process(
        *("endpoint", "list", "--json", "--profile", "mine", "--region", "us-east-1"),
        *("--endpoint-url", aws.endpoint_url),
        env={"AWS_SHARED_CREDENTIALS_FILE": str(config), "AIRFLOW_HOME": str(tmp_path / "airflow")},
    )
    assert done.returncode == 0, done.stderr
    assert [one["endpoint_name"] for one in json.loads(done.stdout)] == ["churn"]
    # No database, and nothing but what was asked for.
    assert done.stderr == ""
    assert not list(tmp_path.rglob("*.db"))


def test_warnings_of_the_hooks_are_on_standard_error(run: Run, aws: LocalAws, monkeypatch: Any) -> None:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

    describe = SageMakerHostingHook.describe_endpoint

    def warning(hook: SageMakerHostingHook, name: str) -> Any:
        hook.log.info("nobody sees %s", name)
        hook.log.warning("somebody sees %s", name)
        return describe(hook, name)

    monkeypatch.setattr(SageMakerHostingHook, "describe_endpoint", warning)
    before = logging.getLogger().handlers
    result = run("endpoint", "show", "absent", code=1)
    assert result.stdout == ""
    assert result.stderr.startswith("WARNING somebody sees absent\nThere is no endpoint 'absent'")
    assert logging.getLogger().handlers == before


def test_both_ways_to_the_local_aws_at_once_are_2(run: Run, aws: LocalAws) -> None:
    said = run("endpoint", "list", "--local", "--profile", "mine", code=2).stderr
    assert "not both" in said
