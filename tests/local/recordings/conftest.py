"""The local AWS that is asked: over HTTP in virtual time, and in this process where containers answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.data_plane import DataPlane, data_plane
from tests.local.rules.cloud import Cloud, our_cloud


@pytest.fixture(scope="session")
def _recorded_cloud() -> Iterator[Cloud]:
    # Transitions take a second of a clock that stands still: what goes on can be looked at.
    with LocalAws(engine="none", transition_seconds=1, clock="virtual") as aws:
        yield our_cloud(aws)


@pytest.fixture
def cloud(_recorded_cloud: Cloud) -> Cloud:
    """The local AWS in virtual time and without containers, empty."""
    _recorded_cloud.reset()
    return _recorded_cloud


@pytest.fixture(scope="session")
def _recorded_plane() -> Iterator[DataPlane]:
    with data_plane() as plane:
        yield plane


@pytest.fixture
def plane(_recorded_plane: DataPlane) -> DataPlane:
    """A local AWS in this process, whose containers are functions, empty."""
    _recorded_plane.reset()
    return _recorded_plane


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and {"cloud", "plane"} & set(item.fixturenames):  # type: ignore[attr-defined]
            item.add_marker("slow")
