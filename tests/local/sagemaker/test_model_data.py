"""Where the local AWS looks for model data."""

from __future__ import annotations

import pytest

from airflow_sm_hosting.local.sagemaker.model_data import ModelSource, below, data_exists


@pytest.mark.parametrize(
    ("prefix", "target", "location"),
    [
        ("s3://models/many/", "a.tar.gz", ("models", "many/a.tar.gz")),
        ("s3://models/many", "/team/a+b.tar.gz", ("models", "many/team/a+b.tar.gz")),
        ("s3://models/", "a.tar.gz", ("models", "a.tar.gz")),
        # Only the prefix is a URL.
        ("https://models.s3.amazonaws.com/my+models/", "a+b%20c.tar.gz", ("models", "my models/a+b%20c.tar.gz")),
    ],
)  # fmt: skip
def test_a_target_model_lies_below_its_prefix(prefix: str, target: str, location: tuple[str, str]) -> None:
    assert below(ModelSource(prefix, "on_demand"), target).location == location


@pytest.mark.parametrize("kind", ["archive", "object", "prefix", "on_demand"])
def test_there_is_nothing_at_a_url_of_something_else(kind: str) -> None:
    assert not data_exists(ModelSource("https://example.com/models/m.tar.gz", kind))
