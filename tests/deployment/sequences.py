"""What DescribeEndpoint may answer, look by look, while a deployment goes on; and what the endpoint serves at the end of it.

An endpoint goes from state to state as ``next_states`` allows. A person who looks now and then sees some of the states, and each of
them in one of the ways in which AWS may show it. All that is not from the sources named here is marked as assumed:

* API: DescribeEndpoint and UpdateEndpoint in the API reference, in the words of botocore's service model.
* Guide: developer guide, deployment guardrails (canary, linear, rolling) and endpoint autoscaling.
* TF: hashicorp/terraform-provider-aws, issues 39099, 46663 and 48997, and pull request 49020.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, NamedTuple

WANTED, OLD, ANOTHER = "churn-new", "churn-old", "churn-another"
ENDPOINT = "churn"
#: When the endpoint was changed last before the deployment; each state changes it (assumed).
BEFORE = datetime(2026, 5, 1, 12, tzinfo=UTC)
STALE_REASON = "The alarm errors went off; it was the deployment before this one."
FRESH_REASON = "The container did not answer /ping. See CloudWatch logs."
REASONS = {"absent": None, "empty": "", "stale": STALE_REASON, "fresh": FRESH_REASON}

#: DescribeEndpoint's answer; None for an endpoint that does not exist.
Look = dict[str, Any] | None
#: Status, config, and the config of PendingDeploymentSummary.
Shown = tuple[str, str, str | None]


class State(NamedTuple):
    """What really goes on at the endpoint.

    :param doing: What.
    :param live: The config that serves, or served; None for no endpoint.
    :param target: The config that a deployment goes to, or is taken back from.
    """

    doing: str
    live: str | None = None
    target: str | None = None


GONE = State("gone")
#: Nothing goes on: what is served now is served until somebody changes it.
SETTLED = frozenset({"serves", "failed", "out of service", "mixed", "gone"})


def next_states(state: State) -> Iterator[State]:
    """Yield what may come after a state."""
    doing, live, target = state
    match doing:
        case "creates":
            yield State("serves", live)  # API: Creating, InService
            yield State("failed", live)  # API: Failed, "could not be created"
        case "serves":
            for config in (WANTED, OLD, ANOTHER):
                if config != live:
                    yield State("updates", live, config)  # API: UpdateEndpoint, somebody else's
            yield State("scales", live)  # API: Updating, after UpdateEndpointWeightsAndCapacities
            yield State("is maintained", live)  # API: SystemUpdating
            yield State("out of service", live)  # API: OutOfService
            yield State("is deleted", live)  # API: Deleting
        case "updates":
            yield State("serves", target)  # API: InService
            yield State("bakes", live, target)  # assumed: InService before the pending deployment is over
            yield State("rolls back", live, target)  # Guide; seen on updates of configs: TF 49020
            yield State("updates back", live, target)  # assumed: a rollback with no status of its own
            yield State("serves", live)  # TF: rolled back, nothing shown of it
            yield State("failed", live)  # API: Failed, "could not be updated"
            yield State("out of service", live)  # API: OutOfService
            yield State("mixed", live, target)  # API: UpdateRollbackFailed
        case "bakes":
            yield State("serves", target)
            yield State("rolls back", live, target)  # Guide: an alarm goes off in the bake time
            yield State("serves", live)
        case "rolls back" | "updates back":
            yield State("serves", live)  # API: RollingBack, then InService
            yield State("mixed", live, target)  # API: UpdateRollbackFailed
        case "scales":
            yield State("serves", live)
            yield State("scales back", live)  # API: RollingBack, "autoscaling"
            yield State("failed", live)  # API: Failed, "re-scaled"
        case "scales back" | "is maintained":
            yield State("serves", live)  # API: back to InService
        case "mixed":
            yield State("is deleted", live)  # API: DeleteEndpoint
        case "failed" | "out of service":
            yield State("is deleted", live)  # API: Failed, DeleteEndpoint only
        case "is deleted":
            yield GONE


def shown(state: State) -> list[Shown | None]:
    """Return the ways in which AWS may show a state.

    Which config a deployment in progress shows is not documented, so either may; its summary may come later than its status (assumed).
    """
    doing, live, target = state
    match doing:
        case "gone":
            return [None]
        case "creates":
            return list(product(["Creating"], [str(live)], [None, live]))
        case "serves":
            return [("InService", str(live), None)]
        case "updates":
            return list(product(["Updating"], [str(live), str(target)], [None, target]))
        case "bakes":
            return [("InService", str(target), target)]
        case "rolls back":
            return list(product(["RollingBack"], [str(live), str(target)], [None, live, target]))
        case "updates back":
            return [("Updating", str(live), live)]
        case "scales":
            return [("Updating", str(live), None)]
        case "scales back":
            return [("RollingBack", str(live), None)]
        case "is maintained":
            return [("SystemUpdating", str(live), None)]
        case "mixed":
            return list(product(["UpdateRollbackFailed"], [str(live), str(target)], [None]))
        case "failed":
            return [("Failed", str(live), None)]
        case "out of service":
            return [("OutOfService", str(live), None)]
        case "is deleted":
            return [("Deleting", str(live), None)]
    raise AssertionError(state)


class Story(NamedTuple):
    """One sequence of looks at one deployment.

    :param kind: How it began, one of ``BEGINNINGS``.
    :param looks: What DescribeEndpoint answers, in order; the last answer stays.
    :param outdated: How many of the first looks answer what was before the call.
    :param serves: Whether the endpoint serves the wanted config at the end.
    """

    kind: str
    looks: tuple[Look, ...]
    outdated: int
    serves: bool

    @property
    def tells(self) -> bool:
        """Whether any look differs from what there was before the call; without one, nobody can know how it ended."""
        return len(self.looks) > self.outdated and not (self.kind == "create" and not any(self.looks))


#: How a deployment begins: what was described before the call (None: no such endpoint, or joined), and the endpoint's first state.
BEGINNINGS: dict[str, tuple[Shown | None, State]] = {
    "create": (None, State("creates", WANTED)),
    "update": (("InService", OLD, None), State("updates", OLD, WANTED)),
    # API: UpdateRollbackFailed. That a new update is the way out of it is assumed, from the guide's page on rolling deployments.
    "update of a mix": (("UpdateRollbackFailed", OLD, None), State("updates", OLD, WANTED)),
    "update of a mix with it": (("UpdateRollbackFailed", WANTED, None), State("updates", OLD, WANTED)),
    "join of a creation": (None, State("creates", WANTED)),
    "join of an update": (None, State("updates", OLD, WANTED)),
    "join of a rollback": (None, State("rolls back", OLD, WANTED)),
}


def walks(first: State, states: int) -> Iterator[tuple[State, ...]]:
    """Yield every legal order of up to ``states`` states that begins with a state and ends where nothing goes on any more."""
    paths: list[tuple[State, ...]] = [(first,)]
    while paths:
        path = paths.pop()
        if path[-1].doing in SETTLED:
            yield path
        if len(path) < states:
            paths.extend((*path, state) for state in next_states(path[-1]))


def seen(path: tuple[State, ...]) -> Iterator[tuple[int, ...]]:
    """Yield which states of a walk are looked at: always the last, and no settled one before it, as a wait ends there."""
    passing = [place for place, state in enumerate(path[:-1]) if state.doing not in SETTLED]
    for chosen in product([False, True], repeat=len(passing)):
        yield (*(place for place, looked in zip(passing, chosen, strict=True) if looked), len(path) - 1)


def stories(states: int) -> Iterator[Story]:
    """Yield every sequence of looks at every legal order of up to so many states.

    None, one or two looks right after the call answer what was before it (assumed). FailureReason is absent, empty or stale
    in all looks, and in the last of them also fresh.
    """
    for kind, (before, first) in BEGINNINGS.items():
        sequences = {
            (tuple((place, look) for place, look in zip(places, looks, strict=True)), path[-1])
            for path in walks(first, states)
            for places in seen(path)
            for looks in product(*(shown(path[place]) for place in places))
        }
        reasons = list(product(("absent", "empty", "stale"), REASONS))
        outdated = (0,) if kind.startswith("join") else (0, 1, 2)
        for (looks, last), (reason, reason_at_end), ahead in product(
            sorted(sequences, key=repr), reasons, outdated
        ):
            told = [described(before, BEFORE, REASONS[reason])] * ahead
            for number, (place, look) in enumerate(looks, 1):
                why = REASONS[reason_at_end if number == len(looks) else reason]
                told.append(described(look, BEFORE + timedelta(minutes=1 + place), why))
            yield Story(kind, tuple(told), ahead, last == State("serves", WANTED))


def described(look: Shown | None, modified: datetime, reason: str | None) -> Look:
    """Return DescribeEndpoint's answer."""
    if look is None:
        return None
    status, live, pending = look
    answer: dict[str, Any] = {
        "EndpointName": ENDPOINT,
        "EndpointArn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{ENDPOINT}",
        "EndpointStatus": status,
        "EndpointConfigName": live,
        "LastModifiedTime": modified,
    }
    if pending:
        answer["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
    if reason is not None:
        answer["FailureReason"] = reason
    return answer
