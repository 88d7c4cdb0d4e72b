"""The newest boto3, in an environment that has nothing else."""

from __future__ import annotations

import pytest

from tests.clients.environments import environment, run_client, without_ours
from tests.local.conftest import ROLE, Deployer, tar_bytes

# The first run installs it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_a_release_from_a_model_to_the_end_of_all(deployer: Deployer) -> None:
    result = run_client(
        environment("boto3", "boto3"),
        "boto3_release",
        deployer.push_image(),
        deployer.upload(tar_bytes({"weights": b"1"})),
        ROLE,
        env=without_ours(deployer.aws),
    )
    assert [answer["version"] for answer in result["answers"]] == ["1", "2"]
    # Those of the policy, and ours.
    assert (len(result["alarms"]), result["alarms"][-1]) == (3, "errors")
    assert result["left"] == []
