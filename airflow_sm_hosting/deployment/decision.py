"""Decide the next action on an endpoint from its description and the wanted config."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_sm_hosting.deployment.status import (
    DELETING,
    FAILED,
    IN_SERVICE,
    OUT_OF_SERVICE,
    Described,
    Kind,
    is_serverless,
    is_transitional,
    pending_config,
    same_name,
)


class Action(StrEnum):
    """The next action of a deployment."""

    CREATE = "create"
    UPDATE = "update"
    #: A deployment to the wanted config is already in progress: wait for it.
    JOIN = "join"
    UNCHANGED = "unchanged"
    #: The endpoint is Failed, and only deletion is allowed: delete it and create it again.
    REPLACE = "replace"
    #: Another change is in progress: wait until it ends, then decide again.
    WAIT = "wait"
    REFUSE = "refuse"
    #: A newer run has deployed: do not change the endpoint.
    OVERTAKEN = "overtaken"
    #: The endpoint is on the wanted config, and the verdict is a failure.
    FAIL = "fail"


@dataclass(frozen=True)
class Decision:
    """The action and its reason: a sentence for the log, or the text of the error."""

    action: Action
    reason: str


def decide(
    described: Described | None,
    config: str,
    *,
    owned: bool | None,
    adopt: bool = False,
    replace_failed_endpoint: bool = True,
    overtaken_by: str | None = None,
    serverless: bool | None = None,
    kind: Kind = Kind.ENDPOINT,
) -> Decision:
    """Decide how to bring the endpoint to a config, or an inference component to a specification.

    :param described: DescribeEndpoint's answer; None for an endpoint that does not exist.
    :param config: The config to deploy.
    :param owned: Whether the endpoint's tags mark it as ours; None (not known) counts as no.
    :param adopt: Whether the deployment may change an endpoint that is not ours.
    :param replace_failed_endpoint: Whether the deployment may delete a failed endpoint and create it again.
    :param overtaken_by: The due time of the newer run that last deployed this endpoint; None when no newer run has deployed.
    :param serverless: Whether the config's variant is serverless; None when it was not looked up.
    :param kind: The kind of the resource.
    """
    if described is None:
        return Decision(
            Action.CREATE, f"the {kind} does not exist; it is created with {kind.content} {config}"
        )

    name, status = described["EndpointName"], described["EndpointStatus"]
    live, pending = described.get("EndpointConfigName"), pending_config(described)

    if status == IN_SERVICE and same_name(live, config) and pending is None:
        return Decision(Action.UNCHANGED, f"{kind} {name} already serves {config}")
    if same_name(pending, config) and status != DELETING:
        return Decision(Action.JOIN, f"{kind} {name} is {status} and already being updated to {config}")
    if overtaken_by:
        return Decision(
            Action.OVERTAKEN,
            f"{kind} {name} was deployed by a newer run, due {overtaken_by}, and stays on "
            f"{pending or live}; allow_older=True deploys this run's config anyway",
        )
    if is_transitional(described):
        return Decision(Action.WAIT, f"{kind} {name} is {status} and cannot be changed until that ends")
    if not owned and not adopt:
        return Decision(
            Action.REFUSE,
            f"{kind} {name} exists without this package's tags, so something else created it; adopt=True "
            "takes it over",
        )
    if status == FAILED:
        if replace_failed_endpoint:
            return Decision(
                Action.REPLACE,
                f"{kind} {name} is Failed and can only be deleted; it is deleted and created again with "
                f"{kind.content} {config}",
            )
        return Decision(
            Action.REFUSE,
            f"{kind} {name} is Failed ({described.get('FailureReason') or 'no reason given'}) and can only "
            "be deleted; replace_failed_endpoint=True deletes it and creates it again",
        )
    if status == OUT_OF_SERVICE:
        return Decision(
            Action.REFUSE,
            f"{kind} {name} is OutOfService ({described.get('FailureReason') or 'no reason given'}); AWS "
            "does not document updates in this status: delete it (DeleteEndpointOperator) and deploy again",
        )
    # Developer guide, "Serverless Inference": an endpoint on instances cannot be updated to a serverless config, and
    # the way back is open once only.
    variants = list(described.get("ProductionVariants") or [])
    if serverless is True and variants and not is_serverless(variants):
        return Decision(
            Action.REFUSE,
            f"{kind} {name} runs on instances and {config} is serverless; UpdateEndpoint rejects this: "
            "deploy to another endpoint name, or delete this endpoint first",
        )
    return Decision(Action.UPDATE, f"{kind} {name} is {status} on {live}; it is updated to {config}")
