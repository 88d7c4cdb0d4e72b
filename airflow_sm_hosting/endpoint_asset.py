"""Endpoints as Airflow assets: their URIs, and the alias under which tasks announce that an endpoint has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Asset

#: The alias in ``outlets``: names and Regions of endpoints are known only when a task runs.
ALIAS = "sagemaker-endpoints"
SCHEME = "sagemaker"


def endpoint_uri(region: str, endpoint_name: str) -> str:
    """Return the URI of an endpoint's asset.

    :param region: The AWS Region.
    :param endpoint_name: The endpoint.
    """
    return f"{SCHEME}://{region}/endpoint/{endpoint_name}"


def endpoint_asset(region: str, endpoint_name: str) -> Asset:
    """Return the asset of an endpoint, for ``schedule`` and ``inlets``.

    :param region: The AWS Region.
    :param endpoint_name: The endpoint.
    """
    from airflow.sdk import Asset

    # The name of an asset is unique in Airflow, and endpoints of two Regions may have one name.
    return Asset(name=f"{region}/{endpoint_name}", uri=endpoint_uri(region, endpoint_name))
