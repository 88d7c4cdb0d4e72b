"""Messages: all faults of one object are told at once, one a line, with values as a person writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    InstanceProductionVariant,
    InvocationsScaling,
    ServerlessProductionVariant,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import Problems, check_seconds, invalid
from airflow_sm_hosting.spec.endpoint_config import check_endpoint_config
from airflow_sm_hosting.spec.model import check_model
from airflow_sm_hosting.spec.reference_parts import rendered_reference
from airflow_sm_hosting.spec.rendered import as_seconds
from airflow_sm_hosting.spec.scaling_rules import check_actions, check_policies

EXAMPLES: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "instance variant": (
        lambda: InstanceProductionVariant(
            model_name="a_b", variant_name="", instance_type="m5", initial_instance_count=0, volume_size_in_gb=513, Volum=1, RoutingConfg={}
        ),
        ["RoutingConfg", "model_name", "variant_name", "instance_type", "initial_instance_count", "volume_size_in_gb"],
    ),
    "serverless variant": (
        lambda: ServerlessProductionVariant(model_name="a_b", variant_name="b_c", max_concurrency=0, memory_size_in_mb=5),
        ["model_name", "variant_name", "max_concurrency", "memory_size_in_mb"],
    ),
    "container": (
        lambda: ContainerDefinition(image="a b", model_data="ftp://x", environment={"1": "x"}, container_hostname="a_b", mode="Multi"),
        ["image", "model_data", "environment", "container_hostname", "mode"],
    ),
    "image": (
        lambda: ContainerImage.from_ecr_repository("Churn", digest="x", registry_id="5", region_name="here"),
        ["repository_name", "digest", "registry_id", "region_name"],
    ),
    "rendered image": (
        lambda: rendered_reference("i", {"SmHostingReference": "EcrImage", "RepositoryName": "Churn", "Tag": "a/b"}),
        ["repository_name", "tag"],
    ),
    "invocations scaling": (
        lambda: InvocationsScaling(max_requests_per_second=0, safety_factor=2, policy_name="", scale_in_cooldown=-1, disable_scale_in="no"),
        ["max_requests_per_second", "safety_factor", "policy_name", "scale_in_cooldown", "disable_scale_in"],
    ),
    "target tracking": (
        lambda: TargetTrackingScaling(target_value=0, policy_name="", scale_out_cooldown=-1),
        ["target_value", "predefined_metric", "policy_name", "scale_out_cooldown"],
    ),
    "step scaling": (lambda: StepScaling(step_adjustments=[], policy_name=""), ["policy_name", "step_adjustments"]),
    "containers": (
        lambda: check_model(containers=[{"Image": ""}, {"Image": "a", "Mode": "x"}, 5]),
        [r"containers[0]", r"containers[1]", r"containers[2]"],
    ),
    "variants": (
        lambda: check_endpoint_config(production_variants=[{"VariantName": "a_b", "InstanceType": "m5"}, {"VariantName": "b", "VolumeSizeInGB": 0}, 5]),
        ["[0].VariantName", "[0].InstanceType", "[1].VolumeSizeInGB", "[2]"],
    ),
    "policies": (lambda: check_policies("policies", ["a", {"PolicyName": ""}]), ["policies[0]", "policies[1]"]),
    "actions": (
        lambda: check_actions("scheduled_actions", ["a", {"Schedule": "daily"}]),
        ["scheduled_actions[0]", "scheduled_actions[1]"],
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*Volum is not a member")
@pytest.mark.parametrize(("make", "fields"), EXAMPLES.values(), ids=EXAMPLES)
def test_every_fault_of_an_object_is_a_line_that_names_it(make: Callable[[], Any], fields: list[str]) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        make()
    lines = str(caught.value).splitlines()
    assert len(lines) == len(fields), lines
    for line, field in zip(lines, fields, strict=True):
        assert field in line


def test_one_fault_is_raised_as_it_is_and_none_is_no_error() -> None:
    problems, only = Problems(), InvalidSpecError("a is 1.")
    problems.tell()
    with problems:
        raise only
    with pytest.raises(InvalidSpecError) as caught:
        problems.tell()
    assert caught.value is only


def test_the_same_fault_is_told_once() -> None:
    problems = Problems()
    for text in ("a is 1.", "b is 2.\na is 1.", "c is 3."):
        with problems:
            raise InvalidSpecError(text)
    with pytest.raises(InvalidSpecError, match=r"(?m)^a is 1\.\nb is 2\.\nc is 3\.$"):
        problems.tell()


def test_another_error_is_not_kept_back() -> None:
    with pytest.raises(KeyError), Problems():
        raise KeyError("x")


class Custom:
    pass


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a 'b'", "\"a 'b'\""),
        (5, "5"),
        (None, "None"),
        (True, "True"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(milliseconds=1500), "1.5 s"),
        (datetime(2026, 11, 30, 2, tzinfo=UTC), "2026-11-30T02:00:00+00:00"),
        ({}, "an empty dict"),
        ({"Image": "a", "Mode": "b"}, "a dict with Image, Mode"),
        (ContainerImage.from_ecr_repository("churn"), "a reference (EcrImage)"),
        (b"abc", "3 bytes"),
        (["a", timedelta(seconds=1)], "['a', 1 s]"),
        (("a", {"b": "c"}), "['a', a dict with b]"),
        (Custom(), "a Custom"),
        (print, "a builtin_function_or_method"),
    ],
    ids=range(15),
)
def test_a_value_is_shown_as_a_person_writes_it(value: Any, text: str) -> None:
    assert str(invalid("x", value, "y")) == f"x is {text}; allowed: y."


@pytest.mark.parametrize("value", [0, 59, "soon", True, timedelta(seconds=1), timedelta(milliseconds=60_500)])
def test_a_duration_is_asked_for_in_seconds(value: Any) -> None:
    for check in (lambda: check_seconds("d", value, 61, 3600), lambda: as_seconds("d", value, 61, 3600)):
        with pytest.raises(
            InvalidSpecError, match=r"(?m)^d is .*; allowed: .*seconds.* 61 to 3600, or a timedelta\.$"
        ) as caught:
            check()
        assert "datetime" not in str(caught.value)
    with pytest.raises(InvalidSpecError, match="seconds as a number, 61 or more, or a timedelta"):
        as_seconds("d", value, 61)
