"""The examples of A/B and shadow tests run through Airflow, against the local AWS with containers that really run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import Examples, make_models
from tests.local.conftest import Deployer

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    with LocalAws(engine="process", transition_seconds=0) as aws:
        make_models(aws)
        yield Examples(aws, tmp_path_factory.mktemp("examples"))


def version(examples: Examples, endpoint: str) -> str:
    return str(Deployer(examples.aws).invoke(endpoint)["version"])


def test_the_challenger_wins_and_serves_alone(examples: Examples) -> None:
    # The latencies of two equal containers differ by chance.
    states = examples.run("ab_test", champion_model="old", challenger_model="new", slower=1000)
    assert states.pop("undo") == "skipped"
    assert set(states.values()) == {"success"}
    (variant,) = Deployer(examples.aws).describe("ab-test")["ProductionVariants"]
    assert (variant["VariantName"], version(examples, "ab-test")) == ("challenger", "new")


def test_the_shadow_is_promoted(examples: Examples) -> None:
    states = examples.run(
        "shadow_test",
        production_model="old",
        shadow_model="new",
        captured="s3://examples/captured",
        least_agreement=0,
    )
    assert set(states.values()) == {"success"}
    assert version(examples, "shadow-test") == "new"
    described = Deployer(examples.aws).describe("shadow-test")
    assert not described.get("ShadowProductionVariants")
