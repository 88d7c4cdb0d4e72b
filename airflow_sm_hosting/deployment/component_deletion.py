"""Plan the deletion of inference components: adapters before their bases, components before their endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from airflow_sm_hosting.deployment.component import COPIES
from airflow_sm_hosting.deployment.observation import Fact, FactKind, FactNeededError, Observation
from airflow_sm_hosting.deployment.scaling_snapshot import place_of
from airflow_sm_hosting.deployment.status import DELETING, Described, Kind, is_transitional, same_name
from airflow_sm_hosting.deployment.steps import DeleteInferenceComponent, DeregisterScalableTarget, Step, Wait
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.deployment.waking_alarm import delete_steps
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.tags import is_ours


@dataclass(frozen=True)
class ComponentDeletion:
    """A requested deletion of an inference component.

    :param name: The component.
    :param with_adapters: Whether to delete its adapters, too.
    :param adopt: Whether the task may delete components that are not ours.
    """

    name: str
    with_adapters: bool = True
    adopt: bool = False


@dataclass(frozen=True)
class ComponentDeletionPlan:
    """The next part of a deletion: its steps, up to the next waits; none when the component is gone."""

    steps: tuple[Step, ...] = field(default=())


def plan_component_deletion(
    observed: Observation, deletion: ComponentDeletion
) -> ComponentDeletionPlan | Fact:
    """Return the next steps of a deletion, or the missing fact to fetch first.

    :param observed: The observation of the component.
    :param deletion: The requested deletion.
    :raises ConflictError: When it, or one of its adapters, is not ours; or when it has adapters that are not to be deleted.
    """
    try:
        described = observed.endpoint
        if described is None:
            return ComponentDeletionPlan()
        found = [described]
        if base_of(described) is None:
            host = str(described.get("HostName"))
            found += [one for one in components_on(observed, host) if same_name(base_of(one), deletion.name)]
        if len(found) > 1 and not deletion.with_adapters:
            raise ConflictError(
                f"Inference component {deletion.name} has the adapters {_names(found[1:])}: delete them first, or with "
                "delete_adapters=True."
            )
        return ComponentDeletionPlan(tuple(deletion_steps(observed, found, adopt=deletion.adopt)))
    except FactNeededError as lacking:
        return lacking.fact


def components_on(observed: Observation, endpoint_name: str) -> list[Described]:
    """Return the inference components of an endpoint in any status, as described.

    :param observed: The observation.
    :param endpoint_name: The endpoint.
    """
    rows = observed.get(Fact(FactKind.COMPONENTS, (endpoint_name,)))
    found = [observed.get(Fact(FactKind.COMPONENT, (row["EndpointName"],))) for row in rows]
    return [one for one in found if one is not None]


def base_of(described: Described) -> str | None:
    """Return the base of an adapter; None for a component with its own copies."""
    bases = [one.get("BaseInferenceComponentName") for one in described.get("Specifications") or ()]
    return bases[0] if bases else None


def models_of(components: Iterable[Described]) -> set[str]:
    """Return the models that components serve."""
    return {
        one["ModelName"]
        for component in components
        for one in component.get("Specifications") or ()
        if one.get("ModelName")
    }


def deletion_steps(observed: Observation, components: Sequence[Described], *, adopt: bool) -> list[Step]:
    """Return the next steps that delete components: those of the adapters, or of the others when there is no adapter any more.

    AWS refuses to delete a component that is being changed (recorded by Hugging Face's skill hf-cloud-sagemaker-production-defaults), and
    autoscaling changes it: its scalable target is deregistered first. That DeleteInferenceComponent does so itself is assumed not to hold, and
    that a base with adapters cannot be deleted.

    :param observed: The observation.
    :param components: The components to delete.
    :param adopt: Whether components that are not ours may be deleted.
    :raises ConflictError: When one is not ours.
    """
    if not adopt:
        others = [one for one in components if not is_ours(dict(observed.tags_of(one["EndpointArn"])))]
        if others:
            raise ConflictError(
                f"Inference component {_names(others)}: without this package's tags, so something else created it; adopt=True deletes "
                "it anyway."
            )
    first = [one for one in components if base_of(one) is not None] or list(components)
    busy = [one for one in first if is_transitional(one) and one["EndpointStatus"] != DELETING]
    if busy:
        return [
            Wait(WaitCondition(WaitFor.SETTLED, one["EndpointName"], kind=Kind.COMPONENT)) for one in busy
        ]
    steps: list[Step] = []
    for one in first:
        name = one["EndpointName"]
        if one["EndpointStatus"] == DELETING:
            continue
        target = observed.get(Fact(FactKind.SCALING, (name, COPIES)))
        if target is not None:
            # An alarm that is in ALARM would put a copy back.
            steps += delete_steps(observed.get(Fact(FactKind.WAKING_ALARMS, (name,))))
            steps.append(
                DeregisterScalableTarget(
                    place_of(target), f"scaling of inference component {name}", "it is deleted"
                )
            )
        steps.append(
            DeleteInferenceComponent({"InferenceComponentName": name}, f"inference component {name}")
        )
    return [
        *steps,
        *(
            Wait(
                WaitCondition(
                    WaitFor.GONE,
                    one["EndpointName"],
                    created_at=moment(one.get("CreationTime")),
                    kind=Kind.COMPONENT,
                )
            )
            for one in first
        ),
    ]


def _names(components: Iterable[Described]) -> str:
    return ", ".join(str(one["EndpointName"]) for one in components)
