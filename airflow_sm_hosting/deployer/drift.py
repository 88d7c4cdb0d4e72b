"""Read what serves, and compare it with what was deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_sm_hosting.deployer.observer import Observer
from airflow_sm_hosting.deployment.drift import Drift, drift_of

if TYPE_CHECKING:
    from airflow_sm_hosting.deployment.drift import Expected
    from airflow_sm_hosting.hooks.parameters import AwsParameters


def find_drift(aws: AwsParameters, expected: Expected) -> Drift:
    """Return how an endpoint differs from what was deployed; only what is needed for that is read.

    :param aws: Makes the hooks.
    :param expected: What it should be like.
    :raises ClientError: When AWS refuses a call.
    """
    observer = Observer(aws)
    observed = observer.observation(expected.endpoint_name)
    while not isinstance(found := drift_of(observed, expected), Drift):
        observed = observed.learned(found, observer.fetch(found, observed))
    return found
