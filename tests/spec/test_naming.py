"""Names made of content: version 1 of the canonical form must never change."""

from __future__ import annotations

import hashlib
import re
import warnings
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting import ContainerDefinition, InstanceProductionVariant
from airflow_sm_hosting.spec.endpoint_config import endpoint_config_request
from airflow_sm_hosting.spec.model import model_request
from airflow_sm_hosting.spec.naming import (
    CANONICAL_VERSION,
    canonical_request,
    content_digest,
    content_name,
    is_content_name,
    warn_of_cut_base,
)
from airflow_sm_hosting.spec.patterns import MODEL_NAME_PATTERN, NAME_PATTERN

# Written down by hand and hashed with sha256sum: what exists in users' accounts is called so. Never edit these.
MODEL_TEXT = (
    '{"operation":"CreateModel","request":{"EnableNetworkIsolation":true,"ExecutionRoleArn":'
    '"arn:aws:iam::123456789012:role/sagemaker","PrimaryContainer":{"Environment":{"GREETING":"gr\\u00fc\\u00df dich",'
    '"WORKERS":"2"},"Image":"123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn@sha256:'
    'abababababababababababababababababababababababababababababababab","ModelDataUrl":"s3://models/churn/model.tar.gz"},'
    '"VpcConfig":{"SecurityGroupIds":["sg-1"],"Subnets":["subnet-1","subnet-2"]}},"resolved":{"ModelData":[{"ETag":'
    '"\\"9b2cf5\\""}]},"version":1}'
)
MODEL_DIGEST = "3f8fed39bb1df4d3910d63c2bdb15d2a6cb3bdc775fcd2305645b2d399c14471"
CONFIG_TEXT = (
    '{"operation":"CreateEndpointConfig","request":{"DataCaptureConfig":{"EnableCapture":true,'
    '"InitialSamplingPercentage":25},"KmsKeyId":"alias/endpoints","ProductionVariants":['
    '{"ContainerStartupHealthCheckTimeoutInSeconds":120,"InitialInstanceCount":2,"InitialVariantWeight":1,'
    '"InstanceType":"ml.m5.large","ModelName":"churn-0123456789","VariantName":"main"},'
    '{"InitialInstanceCount":1,"InitialVariantWeight":0,"InstanceType":"ml.m5.large","ModelName":"churn-9876543210",'
    '"VariantName":"dark"}]},"resolved":{},"version":1}'
)
CONFIG_DIGEST = "ce6b785370235f4664ae4737dba8b87cea29246221ac9c1fad5a9c705bba77a5"


def golden_model() -> tuple[str, dict[str, Any], dict[str, Any]]:
    request = model_request(
        containers=[
            ContainerDefinition(
                image="123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn@sha256:" + "ab" * 32,
                model_data="s3://models/churn/model.tar.gz",
                environment={"WORKERS": "2", "GREETING": "grüß dich"},
            )
        ],
        execution_role_arn="arn:aws:iam::123456789012:role/sagemaker",
        subnets=["subnet-1", "subnet-2"],
        security_group_ids=["sg-1"],
        enable_network_isolation=True,
    )
    return "CreateModel", request, {"ModelData": [{"ETag": '"9b2cf5"'}]}


def golden_config() -> tuple[str, dict[str, Any], dict[str, Any]]:
    request = endpoint_config_request(
        production_variants=[
            InstanceProductionVariant(
                model_name="churn-0123456789",
                variant_name="main",
                instance_type="ml.m5.large",
                initial_instance_count=2,
                container_startup_health_check_timeout=120,
            ),
            InstanceProductionVariant(
                model_name="churn-9876543210",
                variant_name="dark",
                instance_type="ml.m5.large",
                initial_variant_weight=0,
            ),
        ],
        kms_key_id="alias/endpoints",
        data_capture_config={"EnableCapture": True, "InitialSamplingPercentage": 25},
    )
    return "CreateEndpointConfig", request, {}


@pytest.mark.parametrize(
    ("golden", "text", "digest", "name"),
    [
        (golden_model(), MODEL_TEXT, MODEL_DIGEST, "churn-3f8fed39bb"),
        (golden_config(), CONFIG_TEXT, CONFIG_DIGEST, "churn-ce6b785370"),
    ],
    ids=["model", "endpoint config"],
)
def test_version_1_never_changes(golden: Any, text: str, digest: str, name: str) -> None:
    assert CANONICAL_VERSION == 1
    assert canonical_request(*golden) == text
    assert content_digest(*golden) == digest
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    assert content_name("churn", digest) == name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"Weight": 1.0}, '{"Weight":1}'),
        ({"Weight": 0.1}, '{"Weight":0.1}'),
        ({"Weight": -0.0}, '{"Weight":0}'),
        ({"Weight": 1e16}, '{"Weight":10000000000000000}'),
        ({"Flag": True}, '{"Flag":true}'),
        ({"Gone": None, "Empty": {}, "Nothing": []}, '{"Empty":{},"Nothing":[]}'),
        ({"Pair": ("b", "a")}, '{"Pair":["b","a"]}'),
        ({"Text": 'ü\n\u2028"\\'}, '{"Text":"\\u00fc\\n\\u2028\\"\\\\"}'),
        ({"ModelName": "m", "EndpointConfigName": "c", "Tags": [{}]}, "{}"),
        ({"Variants": [{"ModelName": "m"}]}, '{"Variants":[{"ModelName":"m"}]}'),
    ],
    ids=str,
)
def test_the_canonical_form_of_each_kind_of_value(value: dict[str, Any], text: str) -> None:
    assert (
        canonical_request("Op", value) == f'{{"operation":"Op","request":{text},"resolved":{{}},"version":1}}'
    )


def test_name_and_tags_do_not_count() -> None:
    operation, request, resolved = golden_model()
    named = {**request, "ModelName": "x", "Tags": [{"Key": "team", "Value": "ml"}]}
    assert content_digest(operation, named, resolved) == MODEL_DIGEST


def test_what_is_behind_the_request_counts() -> None:
    operation, request, _ = golden_model()
    other = content_digest(operation, request, {"ModelData": [{"ETag": '"other"'}]})
    assert len({other, content_digest(operation, request), MODEL_DIGEST}) == 3


def test_the_operation_counts() -> None:
    assert content_digest("CreateModel", {}) != content_digest("CreateEndpointConfig", {})


def test_what_is_no_number_has_no_canonical_form() -> None:
    with pytest.raises(ValueError, match=r"JSON"):
        canonical_request("Op", {"Weight": float("nan")})


scalars = (
    st.text(max_size=8) | st.integers() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
)
keys = st.text("abcXYZ", min_size=1, max_size=4)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
requests = st.dictionaries(keys, values, max_size=5)


def shuffled(value: Any) -> Any:
    """Return an equal value: members in the other order, whole numbers as floats, lists as tuples."""
    if isinstance(value, dict):
        return {key: shuffled(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return tuple(shuffled(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


@given(requests, st.dictionaries(keys, values, max_size=2))
def test_equal_requests_have_equal_names(request: dict[str, Any], resolved: dict[str, Any]) -> None:
    assert content_digest("Op", request, resolved) == content_digest(
        "Op", shuffled(request), shuffled(resolved)
    )


def told_apart(value: Any) -> Any:
    """Return a value that is equal exactly for equal content: True is not 1, 1.0 is."""
    if isinstance(value, dict):
        return ("dict", frozenset((key, told_apart(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("list", tuple(told_apart(item) for item in value))
    return (isinstance(value, bool), value)


@given(requests, requests)
def test_other_requests_have_other_names(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = content_digest("Op", one) == content_digest("Op", other)
    assert same is (told_apart(one) == told_apart(other))


@given(requests)
def test_naming_changes_nothing(request: dict[str, Any]) -> None:
    before = told_apart(request)
    canonical_request("Op", request)
    assert told_apart(request) == before


@given(st.text("abzAZ09-", min_size=1, max_size=63).map(lambda text: text.strip("-") or "a"))
def test_a_name_of_63_characters_is_kept_for_any_base(base: str) -> None:
    name = content_name(base, MODEL_DIGEST)
    assert len(name) <= 63
    assert re.fullmatch(NAME_PATTERN, name)
    assert re.fullmatch(MODEL_NAME_PATTERN, name)
    assert name.endswith("-3f8fed39bb")
    assert base.startswith(name.removesuffix("-3f8fed39bb"))


@pytest.mark.parametrize("length", [1, 51, 52, 53, 63])
def test_only_a_base_that_is_too_long_is_shortened(length: int) -> None:
    assert content_name("x" * length, "0" * 64) == "x" * min(length, 52) + "-" + "0" * 10


def test_a_base_cut_at_a_hyphen_leaves_one_hyphen() -> None:
    assert content_name("a" + "-" * 60 + "b", "0" * 64) == "a-0000000000"


@pytest.mark.parametrize(
    ("base", "kept"),
    [
        ("c" * 53, "c" * 52),
        ("c" * 52 + "-prod", "c" * 52),
        ("c" * 51 + "--prod", "c" * 51),
        ("team-" * 12 + "x", ("team-" * 12)[:52].rstrip("-")),
    ],
)
def test_a_base_that_has_to_be_cut_is_a_warning_with_what_comes_of_it(base: str, kept: str) -> None:
    with pytest.warns(
        UserWarning, match=rf"^Op: model_name has {len(base)} characters.*'{kept}-<10 hex digits"
    ):
        warn_of_cut_base("Op: model_name", base)
    assert content_name(base, "0" * 64).startswith(f"{kept}-0")


@pytest.mark.parametrize("base", ["c" * 52, "churn", None, "{{ params." + "x" * 60 + " }}", print])
def test_a_base_that_is_kept_or_not_known_is_no_warning(base: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_cut_base("Op: model_name", base)


@pytest.mark.parametrize(
    ("name", "derived"),
    [
        (content_name("churn", MODEL_DIGEST), True),
        ("churn-0123456789", True),
        ("churn-012345678", False),
        ("churn-01234567890", False),
        ("churn-012345678g", False),
        ("churn-012345678A", False),
        ("0123456789", False),
        ("churn", False),
        ("", False),
    ],
)
def test_a_content_name_is_recognised(name: str, derived: bool) -> None:
    assert is_content_name(name) is derived
