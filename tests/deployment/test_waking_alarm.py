"""The alarm that wakes a scalable target: when it is put, tagged, refused and deleted."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.steps import PutMetricAlarm, TagAlarm
from airflow_sm_hosting.deployment.waking_alarm import TaggedAlarm, delete_steps, put_steps, step_policies
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.tags import OURS, TASK, WAKES

TARGET = "inference-component/llama"
REQUEST: dict[str, Any] = {"AlarmName": "llama-from-zero", "Threshold": 1.0, "AlarmActions": ["arn:policy"]}


def existing(tags: dict[str, str], **differing: Any) -> TaggedAlarm:
    described = {**REQUEST, "AlarmArn": "arn:alarm", **differing}
    return TaggedAlarm(described, tags)


def steps(found: TaggedAlarm | None, *, adopt: bool = False) -> list[Any]:
    return put_steps(REQUEST, found, resource_id=TARGET, task="dag/task", adopt=adopt)


def test_an_alarm_that_is_not_there_is_put_with_its_tags() -> None:
    [put] = steps(None)
    assert isinstance(put, PutMetricAlarm)
    tags = {tag["Key"]: tag["Value"] for tag in put.request["Tags"]}
    assert tags == {**OURS, WAKES: TARGET, TASK: "dag/task"}


def test_an_alarm_as_it_should_be_is_left_and_one_that_differs_is_put() -> None:
    ours = {**OURS, WAKES: TARGET, TASK: "dag/task"}
    assert steps(existing(ours)) == []
    [put] = steps(existing(ours, AlarmActions=["arn:old"]))
    assert "Tags" not in put.request
    [put, tag] = steps(existing({**ours, TASK: "dag/other"}, Threshold=2.0))
    assert isinstance(tag, TagAlarm)


def test_an_alarm_of_another_target_or_of_others_is_left_to_it() -> None:
    other = existing({**OURS, WAKES: "endpoint/churn/variant/main"})
    with pytest.raises(ConflictError, match="wakes endpoint/churn/variant/main"):
        steps(other)
    foreign = existing({}, Threshold=2.0)
    with pytest.raises(ConflictError, match="was not created by this package"):
        steps(foreign)
    assert steps(foreign, adopt=True)


def test_which_alarm_wakes_a_target() -> None:
    alarm = existing({**OURS, WAKES: TARGET})
    assert alarm.name == "llama-from-zero"
    assert alarm.wakes(TARGET)
    assert not alarm.wakes("inference-component/other")
    assert not existing({WAKES: TARGET}).wakes(TARGET)


def test_only_step_policies_are_actions() -> None:
    policies = [
        {"PolicyType": "StepScaling", "PolicyARN": "arn:step"},
        {"PolicyType": "TargetTrackingScaling", "PolicyARN": "arn:tracking"},
    ]
    assert step_policies(policies) == ["arn:step"]


def test_a_call_deletes_a_hundred() -> None:
    calls = delete_steps([f"alarm-{number}" for number in range(150)])
    assert [len(call.request["AlarmNames"]) for call in calls] == [100, 50]
    assert delete_steps([]) == []
