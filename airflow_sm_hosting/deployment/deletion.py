"""Plan the deletion of an endpoint and of its config and models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow_sm_hosting.deployment.alarm import MAX_ALARMS_A_CALL
from airflow_sm_hosting.deployment.component_deletion import components_on, deletion_steps, models_of
from airflow_sm_hosting.deployment.observation import Fact, FactKind, FactNeededError, Observation
from airflow_sm_hosting.deployment.scaling_snapshot import place_of
from airflow_sm_hosting.deployment.status import is_transitional
from airflow_sm_hosting.deployment.steps import (
    DeleteAlarms,
    DeleteEndpoint,
    DeleteEndpointConfig,
    DeleteModel,
    DeregisterScalableTarget,
    Step,
    Wait,
)
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.tags import is_ours

#: The models of each endpoint config of an endpoint, by the config's name.
MadeOf = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Deletion:
    """A requested deletion.

    :param endpoint_name: The endpoint.
    :param with_config: Whether to delete its endpoint config too.
    :param with_models: Whether to delete the models of this config too.
    :param adopt: Whether the task may delete an endpoint, or components, that are not ours.
    :param with_components: Whether to delete its inference components first.
    """

    endpoint_name: str
    with_config: bool = False
    with_models: bool = False
    adopt: bool = False
    with_components: bool = False


@dataclass(frozen=True)
class DeletionPlan:
    """The next part of a deletion.

    :param steps: The next steps, up to the next wait.
    :param made_of: The endpoint's configs and models; None after the deletion. The caller must save them before the first step.
    :param kept: A sentence for each resource that is kept because another endpoint needs it.
    """

    steps: tuple[Step, ...]
    made_of: MadeOf | None = None
    kept: list[str] = field(default_factory=list)

    @property
    def is_last(self) -> bool:
        """Whether the deletion is complete after the steps."""
        return not any(isinstance(step, Wait) for step in self.steps)


def plan_deletion(observed: Observation, deletion: Deletion, made_of: MadeOf) -> DeletionPlan | Fact:
    """Return the next steps of a deletion.

    The order is that of AWS: delete the endpoint, wait until it is gone, then delete the config, then the models (developer guide,
    "realtime-endpoints-delete-resources"). SageMaker refuses to delete an endpoint in transition. Its inference components are deleted
    before: SageMaker refuses then (gruntwork-io/cloud-nuke#1142), or leaves them behind with their names taken (seen once), so neither is
    relied on.

    :param observed: The observation of the endpoint.
    :param deletion: The requested deletion.
    :param made_of: The configs and models of the endpoint, once it is deleted.
    :raises ConflictError: When the endpoint is not ours, or has inference components that are not to be deleted.
    """
    try:
        if observed.endpoint is None:
            return _rest(observed, deletion, made_of)
        return _endpoint(observed, deletion, made_of)
    except FactNeededError as lacking:
        return lacking.fact


def _endpoint(observed: Observation, deletion: Deletion, made_of: MadeOf) -> DeletionPlan:
    described, name = observed.endpoint or {}, deletion.endpoint_name
    if not deletion.adopt and not is_ours(dict(observed.tags)):
        raise ConflictError(
            f"Endpoint {name} does not have this package's tags, so something else created it; adopt=True "
            "deletes it anyway."
        )
    if is_transitional(described):
        return DeletionPlan((Wait(WaitCondition(WaitFor.SETTLED, name)),))
    config = described.get("EndpointConfigName")
    components = components_on(observed, described["EndpointName"]) if _hosts(observed, config) else []
    # Models of components that are deleted already are known from before.
    known = {*(made_of or {}).get(config or "", ()), *models_of(components)}
    made_of = {config: sorted({*_models(observed, config), *known})} if config else {}
    if components and not deletion.with_components:
        names = ", ".join(one["EndpointName"] for one in components)
        raise ConflictError(
            f"Endpoint {name} has the inference components {names}: delete them first (DeleteInferenceComponentOperator), or with "
            "delete_inference_components=True."
        )
    if components:
        return DeletionPlan(tuple(deletion_steps(observed, components, adopt=deletion.adopt)), made_of)
    # DeleteEndpoint deregisters scalable targets only if the caller has the permission.
    steps: list[Step] = [
        DeregisterScalableTarget(place_of(target), f"scaling of variant {variant}", "the endpoint is deleted")
        for variant, target in observed.scalable_targets.items()
    ]
    delete = DeleteEndpoint({"EndpointName": name}, f"endpoint {name}")
    created = moment((observed.endpoint or {}).get("CreationTime"))
    wait = Wait(WaitCondition(WaitFor.GONE, name, created_at=created))
    return DeletionPlan((*steps, delete, wait), made_of)


def _hosts(observed: Observation, config_name: str | None) -> bool:
    """Return whether an endpoint may have inference components: a variant has no model, or its config was deleted."""
    config = observed.config(config_name) if config_name else None
    return config is None or any(
        not variant.get("ModelName")
        and not variant.get("ServerlessConfig")
        and not any(pool.get("ModelNameOverride") for pool in variant.get("InstancePools") or ())
        for variant in config.get("ProductionVariants") or ()
    )


def _models(observed: Observation, config_name: str) -> list[str]:
    config = observed.config(config_name) or {}
    variants = [*(config.get("ProductionVariants") or []), *(config.get("ShadowProductionVariants") or [])]
    return sorted({variant["ModelName"] for variant in variants if variant.get("ModelName")})


def _rest(observed: Observation, deletion: Deletion, made_of: MadeOf) -> DeletionPlan:
    """Plan the deletions after the endpoint is gone: our alarms on it, its config, the config's models."""
    name = deletion.endpoint_name
    alarms = list(observed.get(Fact(FactKind.ENDPOINT_ALARMS, (name,))))
    steps: list[Step] = []
    for start in range(0, len(alarms), MAX_ALARMS_A_CALL):
        some = alarms[start : start + MAX_ALARMS_A_CALL]
        steps.append(DeleteAlarms({"AlarmNames": some}, f"alarms {', '.join(some)}"))
    if not made_of or not (deletion.with_config or deletion.with_models):
        return DeletionPlan(tuple(steps))
    needed: MadeOf = observed.get(Fact(FactKind.NEEDED_CONFIGS))
    needed_configs = {config.lower() for config in needed}
    needed_models = {model.lower() for models in needed.values() for model in models}
    kept: list[str] = []
    of_components: Sequence[str] | None = ()
    if deletion.with_models and any(made_of.values()):
        of_components = observed.get(Fact(FactKind.MODELS_OF_COMPONENTS))
    used = {model.lower() for model in of_components or ()}
    for config, models in made_of.items():
        if deletion.with_config and config.lower() in needed_configs:
            kept.append(f"Endpoint config {config} is kept: another endpoint uses it")
        elif deletion.with_config:
            steps.append(DeleteEndpointConfig({"EndpointConfigName": config}, f"endpoint config {config}"))
        for model in models if deletion.with_models else ():
            if model.lower() in needed_models:
                kept.append(f"Model {model} is kept: another endpoint uses it")
            elif of_components is None:
                kept.append(
                    f"Model {model} is kept: it is not known whether an inference component uses it; allow "
                    "sagemaker:ListInferenceComponents and sagemaker:DescribeInferenceComponent"
                )
            elif model.lower() in used:
                kept.append(f"Model {model} is kept: an inference component uses it")
            else:
                steps.append(DeleteModel({"ModelName": model}, f"model {model}"))
    return DeletionPlan(tuple(steps), kept=kept)
