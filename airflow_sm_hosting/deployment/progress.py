"""The progress of a task's deployment, as plain values that are saved while the task is deferred."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.endpoint_tags import tags_to_delete
from airflow_sm_hosting.deployment.smoke_test import AnswerFailure
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    CheckAnswer,
    CreateEndpoint,
    CreateInferenceComponent,
    DeleteEndpoint,
    DeleteInferenceComponent,
    DeleteTags,
    Step,
    UpdateEndpoint,
    UpdateInferenceComponent,
    UpdateInferenceComponentRuntimeConfig,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitFor, WaitResult, known_fields
from airflow_sm_hosting.spec.tags import PENDING_COUNT

#: The action of a deployment that rolls back to a config that served before.
ROLLBACK = "rollback"

#: The version of the serialized progress. Version 1, of release 0.1.0, contains no version number.
VERSION = 2


class Stage(StrEnum):
    """The part of the deployment to plan next."""

    #: Deploy the target.
    DEPLOY = "deploy"
    #: The target is deployed: do the work after an update, and verify the endpoint.
    COMPLETE = "complete"
    #: A wait did not end in success: find out why, and clean up.
    RECOVER = "recover"


@dataclass(frozen=True)
class Progress:
    """The progress of a deployment.

    :param started_at: When this try began, in seconds since the epoch.
    :param deadline: When its time budget ends, in seconds since the epoch.
    :param target: The config to deploy: the wanted one, a fallback, or the rollback target; None until it is known.
    :param action: The action taken on the endpoint.
    :param previous_endpoint_config_name: The config that served before.
    :param counts: Instance counts to set after the update, by variant.
    :param rolling_back: Whether the target is a rollback target.
    :param unfinished: The keys of the tags that name this deployment's cleanup after its end: removed scaling to restore, alarms to
        delete. Tags that other runs write meanwhile belong to those runs.
    :param without_capacity: Configs for which AWS had no instances.
    :param smoke_failure: The failure of the smoke test that caused the rollback of a config.
    :param updated_at: When AWS accepted this task's last update, in seconds since the epoch.
    :param restores_run: The due time of the newer run whose config is restored, as this task's update reached AWS after that run's.
    :param waited_for_older: Whether this task has waited for an older run that had overwritten this deployment.
    :param stage: The part to plan next. This member and the following ones are not serialized.
    :param result: The result of the last wait.
    :param waited_for: The goal of the last wait.
    :param answer_failure: The failure of the smoke test; empty when the answer was right, None before the test.
    :param answer_refused: Whether SageMaker refused the smoke test's request itself.
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
    answer_refused: bool = False

    def after_wait(self, until: WaitFor, result: WaitResult) -> Progress:
        """Return the progress after a wait.

        :param until: The goal of the wait.
        :param result: The result of the wait.
        """
        if result.outcome != Outcome.DEPLOYED:
            stage = Stage.RECOVER
        elif until in (WaitFor.SETTLED, WaitFor.GONE):
            stage = Stage.DEPLOY
        else:
            stage = Stage.COMPLETE
        return replace(self, stage=stage, result=result, waited_for=until)

    def after_step(self, step: Step, endpoint_arn: str | None = None, answer: Any = None) -> Progress:
        """Return the progress after a step.

        :param step: The step.
        :param endpoint_arn: The endpoint's ARN; tags of other resources do not change the progress.
        :param answer: The adapter's answer.
        """
        match step:
            case CreateEndpoint() | CreateInferenceComponent():
                return replace(self, action=self.action or Action.CREATE)
            case UpdateEndpoint() | UpdateInferenceComponent():
                action = ROLLBACK if self.rolling_back else Action.UPDATE
                return replace(
                    self,
                    action=self.action if self.restores_run else str(action),
                    updated_at=(answer or {}).get("taken_at"),
                )
            case UpdateInferenceComponentRuntimeConfig() if self.action in (None, Action.UNCHANGED):
                return replace(self, action=str(Action.UPDATE))
            case DeleteEndpoint() | DeleteInferenceComponent():
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
                failure = answer or AnswerFailure("")
                return replace(self, answer_failure=failure.message, answer_refused=failure.refused)
        return self

    def serialize(self) -> dict[str, Any]:
        """Return the progress as plain JSON: the members of version 0.1.0 and later ones."""
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
        """Read the output of :meth:`serialize`, of this version or another: unknown members are ignored, missing ones get their default.

        :param data: The serialized progress.
        :param started_at: When the try began, if the data does not contain it.
        :param deadline: When its time budget ends, if the data does not contain it.
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


#: Members that are not serialized.
_STAYS = ("stage", "result", "waited_for", "answer_failure", "answer_refused")
