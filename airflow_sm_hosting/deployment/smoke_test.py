"""The smoke test of a deployment: whether its request can be sent to this kind of endpoint, and how it failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.deployment.observation import Observation


@dataclass(frozen=True)
class AnswerFailure:
    """The failure of a smoke test.

    :param message: A sentence.
    :param refused: Whether SageMaker refused the request itself, which says nothing about the model.
    """

    message: str
    refused: bool = False


def smoke_test_problem(observed: Observation, config_name: str) -> str | None:
    """Return why a smoke test cannot be sent to an endpoint on a config; None when it can.

    A smoke test uses InvokeEndpoint without a target (API_runtime_InvokeEndpoint): SageMaker refuses it for asynchronous endpoints, and
    multi-model endpoints, directly invoked containers and inference components need a target.

    :param observed: The observation of the endpoint.
    :param config_name: The config.
    """
    config = observed.config(config_name)
    if config is None:
        return None  # the deployment itself fails
    if config.get("AsyncInferenceConfig"):
        return "an asynchronous endpoint is not invoked with InvokeEndpoint"
    return "; ".join(_problems_of_variants(observed, config)) or None


def _problems_of_variants(observed: Observation, config: Mapping[str, Any]) -> Iterator[str]:
    for variant in config["ProductionVariants"]:
        name, model_name = variant["VariantName"], variant.get("ModelName")
        if model_name is None:
            yield f"variant {name} has inference components, and the request names none"
            continue
        # A model that may not be read passes: SageMaker itself refuses a request that does not suit it.
        model = observed.invoked_model(model_name)
        containers = [model.get("PrimaryContainer") or {}, *(model.get("Containers") or [])]
        if any(container.get("Mode") == "MultiModel" for container in containers):
            yield f"model {model_name} of variant {name} is a multi-model one, and the request has no target model"
        if (model.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct":
            yield f"the containers of model {model_name} of variant {name} are invoked directly, and the request names none"
