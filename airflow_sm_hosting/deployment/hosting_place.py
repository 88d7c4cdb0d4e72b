"""Where an inference component runs: its endpoint, and the base of an adapter. Both must be ready before it is created."""

from __future__ import annotations

from airflow_sm_hosting.deployment.component import WantedComponent
from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.status import (
    BROKEN,
    DELETING,
    FAILED,
    Described,
    Kind,
    is_transitional,
    same_name,
    status_line,
)
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.exceptions import ConflictError, NotFoundError


def place_problem(described: Described | None, wanted: WantedComponent) -> str:
    """Return why an existing component cannot become the wanted one; empty if it can.

    UpdateInferenceComponent has no members for the endpoint and the variant. That an adapter cannot get another base is assumed.

    :param described: The component; None if it does not exist.
    :param wanted: The wanted component.
    """
    if described is None or described["EndpointStatus"] == DELETING:
        return ""
    name, host, variant = described["EndpointName"], described.get("HostName"), described.get("HostVariant")
    bases = {one.get("BaseInferenceComponentName") for one in described.get("Specifications") or ()}
    changes = [
        f"is on endpoint {host}, not {wanted.endpoint_name}"
        if host and not same_name(host, wanted.endpoint_name)
        else "",
        f"is on variant {variant}, not {wanted.variant_name}"
        if variant and wanted.variant_name not in (None, variant)
        else "",
        f"has the base {_or_none(bases.pop())}, not {_or_none(wanted.base)}"
        if bases and bases != {wanted.base}
        else "",
    ]
    found = [change for change in changes if change]
    if not found:
        return ""
    return (
        f"Inference component {name} {' and '.join(found)}, which AWS cannot change: delete it first "
        "(DeleteInferenceComponentOperator), or deploy under another name."
    )


def wait_for_place(observed: Observation, wanted: WantedComponent, action: Action) -> WaitCondition | None:
    """Return the condition to wait for before the component is created or updated; None when its place is ready.

    Of an update only the base is awaited: an endpoint is also Updating while managed scaling adds or removes its instances
    (aws-samples/sagemaker-genai-hosting-examples, ic_rolling_deployment), and refuses what it cannot do then.

    :param observed: The observation of the component.
    :param wanted: The wanted component.
    :param action: What will be done.
    :raises NotFoundError: When the endpoint or the base does not exist.
    :raises ConflictError: When the endpoint or the base has failed.
    """
    name = observed.endpoint_name
    if action is not Action.UPDATE:
        host: Described | None = observed.get(Fact(FactKind.ENDPOINT, (wanted.endpoint_name,)))
        if host is None:
            raise NotFoundError(f"Inference component {name}: there is no endpoint {wanted.endpoint_name!r}.")
        if host["EndpointStatus"] in BROKEN:
            raise ConflictError(
                f"Inference component {name}: endpoint {wanted.endpoint_name} is {host['EndpointStatus']} "
                f"({host.get('FailureReason') or 'no reason given'}): deploy the endpoint first (DeployEndpointOperator)."
            )
        if is_transitional(host):
            return WaitCondition(WaitFor.SETTLED, wanted.endpoint_name)
    if wanted.base is None:
        return None
    base: Described | None = observed.get(Fact(FactKind.COMPONENT, (wanted.base,)))
    if base is None:
        raise NotFoundError(f"Inference component {name}: there is no base component {wanted.base!r}.")
    if base["EndpointStatus"] == FAILED:
        raise ConflictError(
            f"Inference component {name}: its base {wanted.base} is {status_line(base)} "
            f"({base.get('FailureReason') or 'no reason given'}): deploy the base first."
        )
    if is_transitional(base):
        return WaitCondition(WaitFor.SETTLED, wanted.base, kind=Kind.COMPONENT)
    return None


def _or_none(base: str | None) -> str:
    return base or "none (it is no adapter)"
