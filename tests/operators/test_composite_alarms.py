"""The operator of composite alarms: rules, suppressors, and writing only what differs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import AlarmRule, CreateCompositeAlarmOperator, CreateLatencyAlarmOperator
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks.parameters import AwsParameters
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.conftest import operations, outcome, run_task, task_id

TOPIC = "arn:aws:sns:us-east-1:123456789012:oncall"
OTHER_ACCOUNT = "arn:aws:cloudwatch:us-east-1:210987654321:alarm:theirs"


@pytest.fixture
def alarms(aws: LocalAws) -> LocalAws:
    """A local AWS with the metric alarms ``slow`` and ``errors``."""
    for name in ("slow", "errors"):
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName=name, Namespace="N", MetricName="M", Statistic="Sum", Period=60, EvaluationPeriods=1,
            Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
    aws.clear_requests()
    return aws


def described(aws: LocalAws) -> dict[str, Any]:
    """Return what CloudWatch has of the composite alarm ``unwell``."""
    [found] = aws.client("cloudwatch").describe_alarms(AlarmNames=["unwell"], AlarmTypes=["CompositeAlarm"])[
        "CompositeAlarms"
    ]
    return dict(found)


def tags(aws: LocalAws) -> dict[str, str]:
    found = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=described(aws)["AlarmArn"])["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


def composite(**options: Any) -> CreateCompositeAlarmOperator:
    return CreateCompositeAlarmOperator(
        **{
            "task_id": task_id("composite"),
            "dag": DAG("test", schedule=None),  # another run of the DAG
            "alarm_name": "unwell",
            "alarm_rule": AlarmRule.any_of("slow", "errors"),
            **options,
        }
    )


def test_a_composite_alarm_is_made_and_a_rerun_changes_nothing(alarms: LocalAws, dag: DAG) -> None:
    ran = run_task(composite(alarm_actions=[TOPIC], tags={"team": "a"}, task_id="first"))
    assert ran.value == "unwell"
    assert ran.details == {"written": True, "alarm_rule": 'ALARM("slow") OR ALARM("errors")'}
    assert ran.xcoms["alarm_link"].endswith("/ui/alarms/unwell?region=us-east-1")
    assert operations(alarms) == ["DescribeAlarms", "PutCompositeAlarm"]
    made = described(alarms)
    assert (made["AlarmRule"], made["AlarmActions"]) == ('ALARM("slow") OR ALARM("errors")', [TOPIC])
    assert tags(alarms) == {**OURS, "sm-hosting:task": "test/first", "team": "a"}

    alarms.clear_requests()
    again = run_task(composite(alarm_actions=[TOPIC], tags={"team": "a"}))
    assert (again.value, again.details["written"]) == ("unwell", False)
    assert operations(alarms) == ["DescribeAlarms", "ListTagsForResource"]


def test_every_option_is_written_and_taken_back(alarms: LocalAws, dag: DAG) -> None:
    options = {
        "alarm_rule": 'ALARM(slow) AND NOT (OK("errors") OR TRUE)',
        "alarm_actions": [TOPIC],
        "ok_actions": [TOPIC],
        "insufficient_data_actions": [TOPIC],
        "actions_enabled": False,
        "actions_suppressor": "errors",
        "actions_suppressor_wait_period": "{{ 60 }}",
        "actions_suppressor_extension_period": 0,
        "alarm_description": "x",
    }
    run_task(composite(**options))
    members = {
        "AlarmRule": 'ALARM(slow) AND NOT (OK("errors") OR TRUE)',
        "AlarmActions": [TOPIC],
        "OKActions": [TOPIC],
        "InsufficientDataActions": [TOPIC],
        "ActionsEnabled": False,
        "ActionsSuppressor": "errors",
        "ActionsSuppressorWaitPeriod": 60,
        "ActionsSuppressorExtensionPeriod": 0,
        "AlarmDescription": "x",
    }
    found = described(alarms)
    assert {name: found[name] for name in members} == members
    assert run_task(composite(**options)).details["written"] is False

    assert run_task(composite()).details["written"] is True
    found = described(alarms)
    assert [name for name, value in members.items() if found.get(name) == value] == []


def test_the_alarm_goes_off_with_those_that_its_rule_names(alarms: LocalAws, dag: DAG) -> None:
    run_task(composite(alarm_rule=AlarmRule.all_of("slow", AlarmRule.not_("errors"))))
    assert described(alarms)["StateValue"] == "OK"
    alarms.client("cloudwatch").set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="a test")
    assert described(alarms)["StateValue"] == "ALARM"


def test_tags_are_reconciled_without_putting_the_alarm(alarms: LocalAws, dag: DAG) -> None:
    run_task(composite(tags={"team": "a"}))
    alarms.clear_requests()
    run_task(composite(tags={"team": "b"}))
    assert operations(alarms) == ["DescribeAlarms", "ListTagsForResource", "TagResource"]
    assert tags(alarms)["team"] == "b"


def test_an_alarm_of_a_metric_and_a_composite_one_have_different_names(dag: DAG) -> None:
    CreateLatencyAlarmOperator(
        task_id="slow", endpoint_name="e", variant_name="v", threshold=1, evaluation_periods=1, alarm_name="a"
    )
    with pytest.raises(InvalidSpecError, match=r"alarm_name is 'a' in the tasks slow and composite"):
        composite(task_id="composite", dag=dag, alarm_name="a")


def test_names_come_from_upstream_and_make_the_edge(alarms: LocalAws, dag: DAG) -> None:
    slow = CreateLatencyAlarmOperator(
        task_id="slow", endpoint_name="e", variant_name="v", threshold=1, evaluation_periods=1
    )
    task = composite(dag=dag, alarm_rule=AlarmRule.all_of(slow.output, AlarmRule.not_("{{ 'errors' }}")))
    assert task.upstream_task_ids == {"slow"}
    task.alarm_rule["Operands"][0] = "slow"  # what the upstream task returns
    assert run_task(task).details["alarm_rule"] == 'ALARM("slow") AND (NOT ALARM("errors"))'


def test_alarms_that_do_not_exist_are_named(alarms: LocalAws, dag: DAG) -> None:
    rule = AlarmRule.any_of("slow", "sloww", OTHER_ACCOUNT)
    suppressed = {
        "actions_suppressor": "deploying",
        "actions_suppressor_wait_period": 1,
        "actions_suppressor_extension_period": 1,
    }
    end = outcome(composite(alarm_rule=rule, **suppressed))
    assert isinstance(end.error, NotFoundError)
    assert "alarms that do not exist: sloww, deploying" in str(end.error)
    assert operations(alarms) == ["DescribeAlarms"]


def test_an_alarm_on_a_metric_is_not_replaced(alarms: LocalAws, dag: DAG) -> None:
    end = outcome(composite(alarm_name="slow", alarm_rule=AlarmRule.ok("errors"), adopt=True))
    assert isinstance(end.error, ConflictError)
    assert "is a metric alarm" in str(end.error)
    assert operations(alarms) == ["DescribeAlarms"]


def test_a_composite_alarm_of_others_is_taken_over_only_when_asked(alarms: LocalAws, dag: DAG) -> None:
    alarms.client("cloudwatch").put_composite_alarm(AlarmName="unwell", AlarmRule="ALARM(slow)")
    alarms.clear_requests()
    end = outcome(composite())
    assert isinstance(end.error, ConflictError)
    assert operations(alarms, mutating=True) == []
    assert described(alarms)["AlarmRule"] == "ALARM(slow)"
    assert run_task(composite(adopt=True)).details["written"] is True
    assert OURS.items() <= tags(alarms).items()


SUPPRESSED = {
    "actions_suppressor": "deploying",
    "actions_suppressor_wait_period": 60,
    "actions_suppressor_extension_period": 60,
}

#: What is refused; with a second set of options, the same once it is rendered.
BAD: dict[str, tuple[dict[str, Any], dict[str, Any] | None, str]] = {
    "no name": ({"alarm_name": ""}, {"alarm_name": "{{ '' }}"}, "alarm_name is ''"),
    "a name of None": ({"alarm_name": 5}, {"alarm_name": "{{ none }}"}, "alarm_name is (5|'None')"),
    "a rule that is none": ({"alarm_rule": 5}, None, "alarm_rule is 5; allowed: an AlarmRule"),
    "a rule with an end missing": (
        {"alarm_rule": "ALARM(a"},
        {"alarm_rule": "{{ 'ALARM(a' }}"},
        "alarm_rule is 'ALARM.a'.* found the end, expected",
    ),
    "a rule over itself": (
        {"alarm_rule": "OK(unwell)"},
        {"alarm_rule": AlarmRule.ok("{{ 'unwell' }}")},
        "that does not use 'unwell' itself",
    ),
    "a rule over nothing": (
        {"alarm_rule": 'OK("")'},
        {"alarm_rule": AlarmRule.ok("{{ none }}")},
        "a function without an alarm name|a name in the alarm rule is 'None'",
    ),
    "a string of actions": ({"alarm_actions": TOPIC}, {"alarm_actions": "{{ 'arn' }}"}, "alarm_actions is (a str|'arn)"),
    "an action that scales": (
        {"ok_actions": ["arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1"]},
        {"ok_actions": ["arn:aws:{{ 'autoscaling' }}:us-east-1:123456789012:scalingPolicy:1"]},
        "a composite alarm has no EC2 or scaling actions",
    ),
    "a suppressor without waits": (
        {"actions_suppressor": "deploying"},
        {"actions_suppressor": "{{ 'deploying' }}"},
        "actions_suppressor_wait_period is None with actions_suppressor 'deploying'",
    ),
    "waits without a suppressor": (
        {**SUPPRESSED, "actions_suppressor": None},
        {**SUPPRESSED, "actions_suppressor": "{{ none }}"},
        "actions_suppressor_wait_period is 60 with actions_suppressor None",
    ),
    "a negative wait": (
        {**SUPPRESSED, "actions_suppressor_wait_period": -1},
        {**SUPPRESSED, "actions_suppressor_wait_period": "{{ -1 }}"},
        "actions_suppressor_wait_period is -1",
    ),
    "a fraction of a second": (
        {**SUPPRESSED, "actions_suppressor_extension_period": 0.5},
        {**SUPPRESSED, "actions_suppressor_extension_period": "{{ 0.5 }}"},
        "actions_suppressor_extension_period is 0.5",
    ),
    "an empty suppressor": ({**SUPPRESSED, "actions_suppressor": " "}, None, "actions_suppressor is ' '"),
    "tags": ({"tags": 5}, {"tags": "{{ 'x' }}"}, "tags is a (int|str)"),
}  # fmt: skip


@pytest.mark.parametrize(("literal", "rendered", "message"), BAD.values(), ids=BAD)
def test_what_can_never_work_is_refused_while_it_is_written_or_before_the_first_call(
    dag: DAG, monkeypatch: pytest.MonkeyPatch, literal: Any, rendered: Any, message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        composite(**literal)
    if rendered is None:
        return

    def refuse(_: Any) -> Any:
        raise AssertionError("a hook was made")

    monkeypatch.setattr(AwsParameters, "_hook_parameters", refuse)
    end = outcome(composite(**rendered))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert re.search(message, str(end.error))
