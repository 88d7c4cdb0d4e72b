"""Which images are AWS's own, and what runs in place of an image."""

from __future__ import annotations

import hashlib
import json
from itertools import product

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.local.stand_ins.choice import (
    MANIFEST_TYPE,
    StandIns,
    stand_in_manifest,
    without_tag,
)
from airflow_sm_hosting.local.stand_ins.container.contracts import CONTRACTS
from airflow_sm_hosting.local.stand_ins.families import FAMILIES, Family, aws_image, local_name
from airflow_sm_hosting.spec.dlc import ACCOUNT_BY_REGION, is_of_aws

DLC, FRAMEWORKS = "763104351884", "683313688378"
EVERY = [(family, repository) for family in FAMILIES for repository in family.repositories]


def image(account: str, region: str, repository: str, domain: str = "amazonaws.com", tag: str = ":1") -> str:
    return f"{account}.dkr.ecr.{region}.{domain}/{repository}{tag}"


def chosen(stand_ins: StandIns, name: str) -> str | None:
    """Return what runs in place of an image, where the local registry is empty."""
    nothing: dict[str, str] = {}
    found = stand_ins.replacement(name, nothing.get, "127.0.0.1:4566")
    return found.image if found else None


def test_each_family_has_a_contract_and_each_repository_is_of_one_family() -> None:
    assert [family.name for family in FAMILIES] == sorted(CONTRACTS, key=[f.name for f in FAMILIES].index)
    repositories = [repository for _, repository in EVERY]
    assert len(set(repositories)) == len(repositories)


def test_all_accounts_are_known_as_aws_s_own_to_the_operators() -> None:
    assert all(is_of_aws(account) for family in FAMILIES for account in family.accounts.values())
    for family in FAMILIES:
        if "us-isof-east-1" in family.accounts:
            assert family.accounts.items() >= ACCOUNT_BY_REGION.items()


@pytest.mark.parametrize(("family", "repository"), EVERY, ids=lambda one: getattr(one, "name", one))
def test_an_image_is_known_by_account_region_and_repository(family: Family, repository: str) -> None:
    accounts = family.accounts
    for region, account in accounts.items():
        found = aws_image(image(account, region, repository))
        assert found
        assert (found.family, found.wrong) == (family, "")
    for region, account in product(accounts, set(accounts.values())):
        found = aws_image(image(account, region, repository))
        assert found
        assert bool(found.wrong) == (accounts[region] != account), (region, account)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        (image("727897471807", "cn-north-1", "pytorch-inference", "amazonaws.com.cn"), "pytorch"),
        (image("204133271717", "eusc-de-east-1", "djl-inference", "amazonaws.eu"), "lmi"),
        (image("303241398832", "us-isof-east-1", "vllm", "csp.hci.ic.gov"), "vllm"),
        (image(DLC, "us-east-1", "vllm", tag="@sha256:" + "0" * 64), "vllm"),
        (image(DLC, "us-east-1", "vllm", tag=""), "vllm"),
        (f"{DLC}.dkr.ecr-fips.us-east-1.amazonaws.com/vllm:1", "vllm"),
        (f"{DLC}.dkr-ecr.us-east-1.on.aws/vllm:1", "vllm"),
        ("public.ecr.aws/deep-learning-containers/vllm:0.17", "vllm"),
    ],
)
def test_other_hosts_and_forms_of_names_are_known(name: str, family: str) -> None:
    found = aws_image(name)
    assert found
    assert (found.family.name, found.wrong) == (family, "")


@pytest.mark.parametrize(
    "name",
    [
        image("999999999999", "us-east-1", "pytorch-inference"),  # somebody's copy
        image("123456789012", "us-east-1", "sagemaker-xgboost"),
        image(DLC, "us-east-1", "team/churn"),
        image(DLC, "us-east-1", "pytorch-inference/other"),
        image(DLC, "us-east-1", "pytorch-training"),
        f"{DLC}.example.com/pytorch-inference:1",
        "public.ecr.aws/somebody/vllm:1",
        "pytorch-inference:1",
        "",
    ],
)
def test_an_image_of_others_is_not_aws_s(name: str) -> None:
    assert aws_image(name) is None


def test_a_wrong_pair_of_account_and_region_names_the_right_one() -> None:
    found = aws_image(image(DLC, "ap-east-1", "djl-inference"))
    assert found
    assert found.wrong == (
        "the account 763104351884 does not have djl-inference in ap-east-1; it is 871362719292 there"
    )
    # Of another family: the account has no such repository.
    found = aws_image(image(DLC, "us-east-1", "sagemaker-xgboost"))
    assert found
    assert "it is 683313688378 there" in found.wrong
    found = aws_image(image(FRAMEWORKS, "me-central-1", "tei"))
    assert found
    assert "AWS is not known to have it there" in found.wrong


@given(st.text(max_size=80))
def test_any_text_is_looked_at(name: str) -> None:
    assert aws_image(name) is None
    assert StandIns().family(name) is None


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (image(DLC, "us-east-1", "pytorch-inference"), "pytorch-inference:1"),
        ("localhost:5000/a/b:1", "a/b:1"),
        ("localhost/a", "a"),
        ("team/churn:1", "team/churn:1"),
        ("churn", "churn"),
    ],
)
def test_a_name_without_its_registry(name: str, short: str) -> None:
    assert local_name(name) == short


def test_the_longest_pattern_that_matches_counts() -> None:
    stand_ins = StandIns(
        images={
            "*": "any",
            "pytorch-inference:*": "torch",
            "pytorch-inference:2.6*": "torch-26",
            image(DLC, "us-east-1", "vllm", tag=":*"): "by-host",
        }
    )
    assert chosen(stand_ins, image(DLC, "us-east-1", "pytorch-inference", tag=":2.6.0")) == "torch-26"
    assert chosen(stand_ins, image(DLC, "us-east-1", "pytorch-inference", tag=":2.5.0")) == "torch"
    assert chosen(stand_ins, image(DLC, "us-east-1", "vllm")) == "by-host"
    assert chosen(stand_ins, image(DLC, "us-west-2", "vllm")) == "any"
    assert (
        chosen(StandIns(False, {"pytorch-inference": "x"}), image(DLC, "us-east-1", "pytorch-inference"))
        is None
    )


def test_the_digest_of_a_stand_in_is_of_its_manifest_and_made_of_repository_and_tag() -> None:
    first, digest = stand_in_manifest(image(DLC, "us-east-1", "vllm"))
    assert digest == f"sha256:{hashlib.sha256(first).hexdigest()}"
    assert json.loads(first)["mediaType"] == MANIFEST_TYPE
    assert stand_in_manifest(image(DLC, "eu-west-1", "vllm")) == (first, digest)
    assert stand_in_manifest(image(DLC, "us-east-1", "vllm", tag=":2"))[1] != digest


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("a.b/c/d:1", "a.b/c/d"),
        ("a.b:5/c", "a.b:5/c"),
        ("a.b:5/c:1@sha256:0", "a.b:5/c"),
        ("c@sha256:0", "c"),
    ],
)
def test_a_name_without_its_tag(name: str, short: str) -> None:
    assert without_tag(name) == short


def test_an_image_that_is_named_by_digest_is_mapped_by_the_tag_that_it_had() -> None:
    stand_ins = StandIns(images={"vllm:1*": "one", "vllm:2*": "two"})
    name, digest = image(DLC, "us-east-1", "vllm", tag=":2.0"), "sha256:" + "a" * 64
    pinned = f"{without_tag(name)}@{digest}"
    stand_ins.pin(name, digest)
    assert chosen(stand_ins, pinned) == "two"
    # Of a digest whose tag is not known, any pattern of the repository counts.
    assert chosen(stand_ins, pinned.replace("a" * 64, "b" * 64)) == "one"
    other = f"{image(DLC, 'us-east-1', 'sglang', tag='')}@{digest}"
    assert chosen(stand_ins, other) == other


def test_the_local_registry_comes_before_the_user_s_choice_and_that_before_a_stand_in() -> None:
    name = image(DLC, "us-east-1", "vllm")
    stand_ins = StandIns(images={"vllm:*": "mine"})
    both = {"host/vllm:1": "its own", "host/mine": "chosen"}
    found = stand_ins.replacement(name, both.get, "host")
    assert found
    assert (found.stored, found.is_chosen, found.family) == ("its own", False, None)
    found = stand_ins.replacement(name, {"host/mine": "chosen"}.get, "host")
    assert found
    assert (found.image, found.stored, found.is_chosen) == ("mine", "chosen", True)
    # One that the Docker engine may have.
    found = stand_ins.replacement(name, {}.get, "host")
    assert found
    assert (found.image, found.stored, found.is_chosen) == ("mine", None, True)
    found = StandIns().replacement(name, {}.get, "host")
    assert found
    assert found.family
    assert StandIns(enabled=False).replacement(name, {}.get, "host") is None


def test_nothing_runs_in_place_of_an_image_with_the_account_of_another_region() -> None:
    stand_ins = StandIns(images={"*": "mine"})
    assert (
        stand_ins.replacement(image(DLC, "ap-east-1", "vllm"), {"host/vllm:1": "its own"}.get, "host") is None
    )
    # A Region that the tables do not have yet may be right.
    new = image(DLC, "xx-new-1", "vllm")
    found = stand_ins.replacement(new, {"host/vllm:1": "its own"}.get, "host")
    assert found
    assert found.stored == "its own"
    assert chosen(stand_ins, new) == "mine"
    assert chosen(StandIns(), new) is None


def test_stand_ins_are_on_unless_they_are_switched_off() -> None:
    name = image(FRAMEWORKS, "us-east-1", "sagemaker-xgboost", tag=":1.7-1")
    family = StandIns().family(name)
    assert family
    assert family.name == "xgboost"
    assert StandIns(enabled=False).family(name) is None
    assert StandIns().family(image(DLC, "ap-east-1", "djl-inference")) is None
