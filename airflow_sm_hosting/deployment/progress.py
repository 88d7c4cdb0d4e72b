"""How far a task's deployment has come, in plain values that travel with it while it is deferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.endpoint_tags import tags_to_delete
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    CheckAnswer,
    CreateEndpoint,
    DeleteEndpoint,
    DeleteTags,
    Step,
    UpdateEndpoint,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitFor, WaitResult, known_fields
from airflow_sm_hosting.spec.tags import PENDING_COUNT

#: The action of a deployment that goes back to a config that served before.
ROLLBACK = "rollback"

#: The version of the form in which progress travels. Version 1, of 0.1.0, names none.
VERSION = 2


class Stage(StrEnum):
    """What is to be planned next."""

    #: Bring the endpoint to the target.
    DEPLOY = "deploy"
    #: The target is deployed: do what follows an update, and verify it.
    COMPLETE = "complete"
    #: A wait ended otherwise: find out why, and leave the endpoint in order.
    RECOVER = "recover"


@dataclass(frozen=True)
class Progress:
    """How far a deployment has come.

    :param started_at: When this try began, in seconds since the epoch.
    :param deadline: When its time budget ends, in seconds since the epoch.
    :param target: The config that is on its way: the wanted one, a fallback, or the one to roll back to; None until it is known.
    :param action: What was done to the endpoint.
    :param previous_endpoint_config_name: The config that served before.
    :param counts: Instance counts to set after the update, by variant.
    :param rolling_back: Whether the target is a config to go back to.
    :param unfinished: The keys of the tags that tell what this deployment has to put right once it has ended: scaling that was taken off,
        alarms that were made. What other runs write down meanwhile is theirs.
    :param without_capacity: Configs for which AWS had no instances.
    :param smoke_failure: What was wrong with the answer of a config that was rolled back for it.
    :param updated_at: When AWS took this task's last update, in seconds since the epoch.
    :param restores_run: When the newer run was due whose config is restored, as this task's update landed after that run's.
    :param waited_for_older: Whether an older run was waited for that had undone this deployment.
    :param stage: What is to be planned next. It does not travel, nor does what follows.
    :param result: How the last wait ended.
    :param waited_for: What it was for.
    :param answer_failure: What was wrong with the endpoint's answer; empty when it was right, None when it was not asked yet.
    """

    started_at: float
    deadline: float
    target: str | None = None
    action: str | None = None
    previous_endpoint_config_name: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    rolling_back: bool = False
    unfinished: tuple[str, ...] = ()
    without_capacity: tuple[str, ...] = ()
    smoke_failure: str | None = None
    updated_at: int | None = None
    restores_run: str | None = None
    waited_for_older: bool = False
    stage: Stage = Stage.DEPLOY
    result: WaitResult | None = None
    waited_for: WaitFor | None = None
    answer_failure: str | None = None

    def after_wait(self, until: WaitFor, result: WaitResult) -> Progress:
        """Return the progress once a wait has ended.

        :param until: What it was for.
        :param result: How it ended.
        """
        if result.outcome != Outcome.DEPLOYED:
            stage = Stage.RECOVER
        elif until in (WaitFor.SETTLED, WaitFor.GONE):
            stage = Stage.DEPLOY
        else:
            stage = Stage.COMPLETE
        return replace(self, stage=stage, result=result, waited_for=until)

    def after_step(self, step: Step, endpoint_arn: str | None = None, answer: Any = None) -> Progress:
        """Return the progress once a step was taken.

        :param step: The step.
        :param endpoint_arn: The endpoint's ARN; tags of other resources are no progress.
        :param answer: The adapter's answer.
        """
        match step:
            case CreateEndpoint():
                return replace(self, action=self.action or Action.CREATE)
            case UpdateEndpoint():
                action = ROLLBACK if self.rolling_back else Action.UPDATE
                return replace(
                    self,
                    action=self.action if self.restores_run else str(action),
                    updated_at=(answer or {}).get("taken_at"),
                )
            case DeleteEndpoint():
                return replace(self, action=Action.REPLACE)
            case AddTags() if step.request["ResourceArn"] == endpoint_arn:
                unfinished = {*self.unfinished, *tags_to_delete(step.tags)}
                return replace(self, unfinished=tuple(sorted(unfinished)))
            case DeleteTags() if step.request["ResourceArn"] == endpoint_arn:
                gone = set(step.request["TagKeys"])
                counts = {
                    variant: count
                    for variant, count in self.counts.items()
                    if f"{PENDING_COUNT}{variant}" not in gone
                }
                unfinished = set(self.unfinished) - gone
                return replace(self, counts=counts, unfinished=tuple(sorted(unfinished)))
            case CheckAnswer():
                return replace(self, answer_failure=str(answer or ""))
        return self

    def serialize(self) -> dict[str, Any]:
        """Return the progress as plain JSON, in the members of version 0.1.0 and those since."""
        return {
            "version": VERSION,
            "started_at": self.started_at,
            "deadline": self.deadline,
            "target": self.target,
            "action": None if self.action is None else str(self.action),
            "previous_endpoint_config_name": self.previous_endpoint_config_name,
            "counts": dict(self.counts),
            "rolling_back": self.rolling_back,
            "unfinished": list(self.unfinished),
            "without_capacity": list(self.without_capacity),
            "smoke_failure": self.smoke_failure,
            "updated_at": self.updated_at,
            "restores_run": self.restores_run,
            "waited_for_older": self.waited_for_older,
        }

    @classmethod
    def deserialize(cls, data: Mapping[str, Any], *, started_at: float, deadline: float) -> Progress:
        """Return the progress that :meth:`serialize`, of this version or another, wrote: unknown members are ignored, missing ones defaulted.

        :param data: What was written.
        :param started_at: When the try began, where that was not written.
        :param deadline: When its time budget ends, where that was not written.
        """
        known = {name: value for name, value in known_fields(cls, data).items() if name not in _STAYS}
        return cls(
            **{
                "started_at": started_at,
                "deadline": deadline,
                **known,
                "counts": dict(known.get("counts") or {}),
                "unfinished": tuple(known.get("unfinished") or ()),
                "without_capacity": tuple(known.get("without_capacity") or ()),
            }
        )


#: What does not travel.
_STAYS = ("stage", "result", "waited_for", "answer_failure")
