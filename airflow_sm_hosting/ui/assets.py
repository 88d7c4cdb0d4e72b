"""What Airflow asks of a provider about the URIs of its assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult

from airflow_sm_hosting.endpoint_asset import SCHEME
from airflow_sm_hosting.lineage import sagemaker_dataset

if TYPE_CHECKING:
    from airflow.sdk import Asset


def sanitize_uri(uri: SplitResult) -> SplitResult:
    """Check an asset's URI: ``sagemaker://<region>/endpoint/<name>``.

    :param uri: The URI in its parts.
    :raises ValueError: When it has another form.
    """
    parts = uri.path.strip("/").split("/")
    if not uri.netloc or len(parts) != 2 or parts[0] != "endpoint" or not parts[1]:
        raise ValueError(f"{uri.geturl()}: allowed: sagemaker://<region>/endpoint/<name>")
    return uri._replace(path=f"/endpoint/{parts[1]}", query="", fragment="")


def to_openlineage(asset: Asset, lineage_context: Any) -> Any:
    """Return the OpenLineage dataset of an endpoint's asset.

    :param asset: The asset.
    :param lineage_context: Given by the OpenLineage provider.
    """
    from airflow.providers.common.compat.openlineage.facet import Dataset

    region, _, path = str(asset.uri).removeprefix(f"{SCHEME}://").partition("/")
    kind, _, name = path.partition("/")
    dataset = sagemaker_dataset(region, kind, name)
    return Dataset(namespace=dataset.namespace, name=dataset.name)
