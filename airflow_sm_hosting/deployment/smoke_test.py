"""The smoke test of a deployment: which kind of request suits an endpoint, the requests, and how it failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.deployment.observation import Observation
from airflow_sm_hosting.spec.smoke_test import ASYNCHRONOUS, REAL_TIME, REQUEST_MEMBERS, STREAMED, known_kind

#: The members of a request by kind.
_MEMBERS = {
    kind: [member for member, kinds in REQUEST_MEMBERS.values() if kind in kinds]
    for kind in (REAL_TIME, STREAMED, ASYNCHRONOUS)
}
#: The members of a smoke test by which no asynchronous request can be meant.
_NEVER_ASYNCHRONOUS = {member for member, kinds in REQUEST_MEMBERS.values() if ASYNCHRONOUS not in kinds}


@dataclass(frozen=True)
class AnswerFailure:
    """The failure of a smoke test.

    :param message: A sentence.
    :param refused: Whether SageMaker refused the request itself, which says nothing about the model.
    """

    message: str
    refused: bool = False


def may_be_asynchronous(test: Mapping[str, Any]) -> bool:
    """Return whether a smoke test without a kind can be sent to an asynchronous endpoint, too."""
    return known_kind(test) is None and not _NEVER_ASYNCHRONOUS & test.keys()


def request_members(test: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the members of a request of a kind, without endpoint and body.

    :param test: The members of the smoke test.
    :param kind: The kind of request.
    """
    members = {member: test[member] for member in _MEMBERS[kind] if member in test}
    is_csv = str(test.get("RequestsFile", "")).lower().endswith(".csv")
    if is_csv and members.get("ContentType") in (None, "application/json"):
        # A row of a CSV file is no JSON, which is the default.
        members["ContentType"] = "text/csv"
    return members


def smoke_test_problem(
    observed: Observation, config_name: str, test: Mapping[str, Any] | None = None
) -> str | None:
    """Return why a smoke test cannot be sent to an endpoint on a config; None when it can.

    SageMaker refuses requests of another kind than the endpoint's (API_runtime_InvokeEndpoint, API_runtime_InvokeEndpointAsync), and
    multi-model endpoints, directly invoked containers and inference components need a target.

    :param observed: The observation of the endpoint.
    :param config_name: The config.
    :param test: The members of the smoke test (default: a request without a target).
    """
    test = test or {}
    config = observed.config(config_name)
    if config is None:
        return None  # the deployment itself fails
    kind = known_kind(test)
    if config.get("AsyncInferenceConfig"):
        if kind in (REAL_TIME, STREAMED):
            return f"an asynchronous endpoint takes no request of kind {kind!r}"
        if kind is None and not may_be_asynchronous(test):
            targets = ", ".join(sorted(_NEVER_ASYNCHRONOUS & test.keys()))
            return f"the endpoint is asynchronous, and an asynchronous request has no {targets}"
        return None
    if kind == ASYNCHRONOUS:
        return "the endpoint is not asynchronous (its config has no AsyncInferenceConfig)"
    return "; ".join(_problems_of_variants(observed, config, test)) or None


def _problems_of_variants(
    observed: Observation, config: Mapping[str, Any], test: Mapping[str, Any]
) -> Iterator[str]:
    target = test.get("TargetVariant")
    names = [variant["VariantName"] for variant in config["ProductionVariants"]]
    if target is not None and target not in names:
        yield f"there is no variant {target}, only {', '.join(names)}"
    for variant in config["ProductionVariants"]:
        if target in (None, variant["VariantName"]):
            yield from _problems_of_variant(observed, variant, test)


def _problems_of_variant(
    observed: Observation, variant: Mapping[str, Any], test: Mapping[str, Any]
) -> Iterator[str]:
    name, model_name = variant["VariantName"], variant.get("ModelName")
    if model_name is None:
        if "InferenceComponentName" not in test:
            yield f"variant {name} has inference components, and the request names none"
        return
    if "InferenceComponentName" in test:
        yield f"variant {name} has a model of its own and no inference components, but the request names one"
        return
    # A model that may not be read passes: SageMaker itself refuses a request that does not suit it.
    model = observed.invoked_model(model_name)
    containers = [model.get("PrimaryContainer") or {}, *(model.get("Containers") or [])]
    many = any(container.get("Mode") == "MultiModel" for container in containers)
    if many and "TargetModel" not in test:
        yield f"model {model_name} of variant {name} is a multi-model one, and the request has no target model"
    if model and not many and "TargetModel" in test:
        yield f"model {model_name} of variant {name} is no multi-model one, but the request has a target model"
    direct = (model.get("InferenceExecutionConfig") or {}).get("Mode") == "Direct"
    if direct and "TargetContainerHostname" not in test:
        yield f"the containers of model {model_name} of variant {name} are invoked directly, and the request names none"
    if model and not direct and "TargetContainerHostname" in test:
        yield f"the containers of model {model_name} of variant {name} are not invoked directly, but the request names one"
