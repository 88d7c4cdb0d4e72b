"""The environments of an endpoint's containers: the values that are masked in what the containers wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.spec.masking import masked
from airflow_sm_hosting.spec.secret import environment_values

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient


def values_of_configs(client: SageMakerClient, endpoint_config_names: Iterable[str]) -> set[str]:
    """Return the values of the environments of all containers of endpoint configs.

    Uses ``sagemaker:DescribeEndpointConfig`` and ``sagemaker:DescribeModel``.

    :raises ClientError: When they are not known: reading is denied, or a config or a model, whose container may still run, was deleted.
    """
    models = {name for config in set(endpoint_config_names) for name in _models(client, config)}
    return {value for name in models for value in _values(client, name)}


def values_of_component(
    client: SageMakerClient, name: str, specifications: Iterable[Mapping[str, Any]]
) -> set[str]:
    """Return the values of the environments of an inference component's containers, those that serve and the wanted ones.

    Uses ``sagemaker:DescribeInferenceComponent`` and ``sagemaker:DescribeModel``.

    :param specifications: The wanted specifications.
    :raises ClientError: When they are not known: reading is denied, or a model was deleted.
    """
    described: Mapping[str, Any] = client.describe_inference_component(InferenceComponentName=name)
    serving = [described.get("Specification") or {}, *(described.get("Specifications") or ())]
    values: set[str] = set()
    for one in (*serving, *specifications):
        values |= environment_values([one.get("Container")])
        if one.get("ModelName"):
            values |= _values(client, one["ModelName"])
    return values


def masked_answer(
    client: SageMakerClient,
    endpoint_name: str,
    text: str,
    show: Callable[[str], str],
    *,
    component: str | None = None,
) -> str:
    """Return a text of an endpoint's container with the values of its environment masked; if they are not known, return why it is not shown.

    Uses ``sagemaker:DescribeEndpoint`` in addition, and of a component ``sagemaker:DescribeInferenceComponent``.

    :param text: What the container wrote.
    :param show: Shortens or quotes the masked text.
    :param component: The inference component that answered; None if none did.
    """
    try:
        described: Any = client.describe_endpoint(EndpointName=endpoint_name)
        pending = described.get("PendingDeploymentSummary") or {}
        configs = {described.get("EndpointConfigName"), pending.get("EndpointConfigName")} - {None}
        values = values_of_configs(client, configs)
        if component:
            values |= _values_of_component(client, component)
        return show(masked(text, values))
    except (ClientError, BotoCoreError) as error:
        return f"(not shown, as the values of its environment, which must be masked, cannot be read: {error})"


def _values_of_component(client: SageMakerClient, name: str) -> set[str]:
    """Return the values of the environments of an inference component, and of the one that an adapter is based on."""
    described: Any = client.describe_inference_component(InferenceComponentName=name)
    found: set[str] = set()
    for specification in (described.get("Specification"), *described.get("Specifications", ())):
        if not specification:
            continue
        found |= environment_values([specification.get("Container")])
        if model := specification.get("ModelName"):
            found |= _values(client, model)
        if base := specification.get("BaseInferenceComponentName"):
            found |= _values_of_component(client, base)
    return found


def _models(client: SageMakerClient, endpoint_config_name: str) -> Iterator[str]:
    config = client.describe_endpoint_config(EndpointConfigName=endpoint_config_name)
    for variant in (*config["ProductionVariants"], *config.get("ShadowProductionVariants", ())):
        # The variants of inference components have no model.
        if name := variant.get("ModelName"):
            yield name


def _values(client: SageMakerClient, model_name: str) -> set[str]:
    model = client.describe_model(ModelName=model_name)
    return environment_values([model.get("PrimaryContainer"), *model.get("Containers", ())])
