"""Members of dicts in the AWS shape: a misspelt one is an error that names the nearest, an unknown one a warning."""

from __future__ import annotations

import runpy
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import botocore
import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting import ContainerDefinition, InstanceProductionVariant
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec import member_names
from airflow_sm_hosting.spec.members import check_members, check_plain, edit_distance, nearest_name

SCRIPT = Path(__file__).parents[2] / "scripts" / "member-names"
IMAGE = "churn:1"


def instance(**members: Any) -> InstanceProductionVariant:
    return InstanceProductionVariant(model_name="churn", variant_name="main", **members)


def container(**members: Any) -> ContainerDefinition:
    return ContainerDefinition(image=IMAGE, **members)


def test_the_table_is_that_of_the_installed_botocore() -> None:
    """Of another version than the table's, the names are in the table, so that none is called misspelt."""
    names = runpy.run_path(str(SCRIPT))["member_names"]()
    if botocore.__version__ == member_names.BOTOCORE:
        assert names == member_names.MEMBERS, "run scripts/member-names"
    for structure, members in names.items():
        missing = set(members.split()) - set(member_names.MEMBERS.get(structure, "").split())
        assert not missing, f"run scripts/member-names: {structure} has {missing}"


@pytest.mark.parametrize(
    ("make", "wrong", "near"),
    [
        (lambda: instance(IntialInstanceCount=2), "IntialInstanceCount", r"initial_instance_count=… \(InitialInstanceCount\)"),
        (lambda: instance(VolumSizeInGB=20), "VolumSizeInGB", r"volume_size_in_gb=… \(VolumeSizeInGB\)"),
        (lambda: instance(RoutingConfg={}), "RoutingConfg", "'RoutingConfig'"),
        (lambda: instance(InferenceAMIVersion="x"), "InferenceAMIVersion", "'InferenceAmiVersion'"),
        (lambda: instance(ManagedInstancesScaling={}), "ManagedInstancesScaling", "'ManagedInstanceScaling'"),
        (lambda: instance(RoutingConfig={"RoutingStratgy": "RANDOM"}), "RoutingConfig.RoutingStratgy", "'RoutingStrategy'"),
        (lambda: instance(instance_type=None, InstancePools=[{"InstanceType": "ml.m5.large", "Prority": 1}]), r"InstancePools\[0\].Prority", "'Priority'"),
        (lambda: container(MutliModelConfig={}), "MutliModelConfig", "'MultiModelConfig'"),
        (lambda: container(ImageConfig={"RepositoryAccesMode": "Vpc"}), "ImageConfig.RepositoryAccesMode", "'RepositoryAccessMode'"),
        (lambda: container(ModelPackagName="x"), "ModelPackagName", "'ModelPackageName'"),
        (lambda: container(model_data={"S3DataSource": {"S3Url": "s3://a/b"}}), "S3DataSource.S3Url", "'S3Uri'"),
        (lambda: container(AdditionalModelDataSources=[{"ChanelName": "a"}]), r"AdditionalModelDataSources\[0\].ChanelName", "'ChannelName'"),
    ],
)  # fmt: skip
def test_a_misspelt_member_is_an_error_with_the_nearest(
    make: Callable[[], Any], wrong: str, near: str
) -> None:
    with pytest.raises(InvalidSpecError, match=rf"{wrong} is not a member of \w+\. Did you mean {near}\?"):
        make()


@pytest.mark.parametrize("name", ["instance_type", "instanceType", "INSTANCETYPE", "InstanceTypes"])
def test_other_spellings_of_a_member_are_misspelt_in_a_plain_dict(name: str) -> None:
    with pytest.raises(InvalidSpecError, match=rf"variants\[0\].{name} is not .* mean 'InstanceType'\?"):
        check_plain("variants[0]", {"VariantName": "main", name: "x"}, "ProductionVariant")


def test_a_misspelt_parameter_is_told_with_the_nearest() -> None:
    with pytest.raises(
        InvalidSpecError, match=r"no parameter 'instnace_type'.*Did you mean 'instance_type'\?"
    ):
        instance(instnace_type="ml.m5.large")
    with pytest.raises(
        InvalidSpecError, match=r"(?m)no parameter 'entirely_else'; give .* AWS's spelling\.$"
    ):
        instance(entirely_else=1)


@pytest.mark.parametrize("name", ["FutureCapability", "ElasticFabric", "WarmPool"])
def test_an_unknown_member_is_a_warning(name: str) -> None:
    with pytest.warns(UserWarning, match=rf"\.{name} is not a member of ProductionVariant in botocore"):
        assert instance(**{name: {"Anything": 1}})[name] == {"Anything": 1}


def test_members_that_exist_are_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        instance(
            RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"}, InferenceAmiVersion="al2-ami"
        )
        container(MultiModelConfig={"ModelCacheSetting": "Enabled"}, ImageConfig="{{ params.config }}")
        check_members("d", {"{{ params.name }}": 1}, "DataCaptureConfig")


def test_spec_objects_and_other_values_are_not_looked_into_again() -> None:
    for value in ("text", None, 5, instance(), {"SmHostingReference": "EcrImage", "Wrong": 1}):
        check_plain("v", value, "ContainerDefinition")


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [("", "", 0), ("a", "a", 0), ("", "ab", 2), ("abc", "ac", 1), ("mutli", "multi", 2), ("abcd", "wxyz", 3), ("a", "abcdef", 3), ("kitten", "sitting", 3), ("aabb", "bbaa", 3)],
)  # fmt: skip
def test_the_distance_of_two_words(left: str, right: str, distance: int) -> None:
    assert edit_distance(left, right, 2) == edit_distance(right, left, 2) == distance


@given(st.text("ab", max_size=6), st.integers(0, 5), st.sampled_from(["a", "b", "c", ""]))
def test_one_edit_is_a_distance_of_one_at_most(word: str, place: int, letter: str) -> None:
    for other in (word[:place] + letter + word[place:], word[:place] + letter + word[place + 1 :]):
        assert edit_distance(word, other, 2) == (word != other)


def test_the_nearest_of_none_is_none() -> None:
    assert nearest_name("x", []) is None
    assert nearest_name("InstanceTyp", ["InstanceType", "Instances"]) == "InstanceType"
