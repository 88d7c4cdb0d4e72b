"""Deploy Regions and accounts in waves, with a stop at the first failure."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import TaskGroup

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.partitions import REGION

if TYPE_CHECKING:
    from airflow.sdk.bases.operator import BaseOperator

#: Trigger rules of tasks that run only after a failure or a skip: a wave does not wait for them.
_AFTER_FAILURE = ("all_failed", "one_failed", "all_skipped", "all_done_setup_success")
#: Trigger rules with which the first task of a Region waits for the success of the wave before.
_AFTER_SUCCESS = ("all_success", "none_failed", "none_failed_min_one_success", "none_skipped")
_PLACE = "a Region, e.g. 'eu-west-1', or a dict of AWS parameters with region_name"


class _Waves(TaskGroup):
    """The group of all waves; what comes after it, comes after its last gate."""

    gate: BaseOperator | None = None

    def get_leaves(self) -> Generator[BaseOperator, None, None]:
        """Yield the last gate."""
        if self.gate is None:
            yield from super().get_leaves()
        else:
            yield self.gate


def deploy_in_waves(
    waves: Sequence[Sequence[str | Mapping[str, Any]]],
    deploy: Callable[[Any], Any],
    *,
    verify: Callable[[Any], Any] | None = None,
    bake: timedelta | float | None = None,
    deferrable: bool = True,
    trigger_rule: Literal["all_success", "none_failed"] = "all_success",
    group_id: str = "waves",
    **kwargs: Any,
) -> TaskGroup:
    """Lay out the deployment of Regions in waves: a wave begins when all tasks of the wave before it have succeeded.

    If a task fails, the Regions of its wave end what they do, and all tasks of the waves that follow become ``upstream_failed``. Clear the
    failed tasks to go on. Tasks that run only after a failure (``trigger_rule="one_failed"``) and teardowns are not waited for; those of a
    wave that was not reached run, too, as Airflow counts ``upstream_failed`` as a failure.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/regions-and-accounts.md#waves

    :param waves: The Regions of each wave: ``[["eu-west-1"], ["us-east-1", "us-west-2"]]``. In place of a Region, a dict of the AWS
        parameters of its tasks: ``{"region_name": "eu-west-1", "aws_conn_id": "production"}``.
    :param deploy: Makes the tasks of a Region. It is called with each entry of ``waves``, in a task group of that Region.
    :param verify: Makes tasks that check a Region after the bake of its wave, and must succeed, too (default: none).
    :param bake: Pause after each wave but the last, in seconds or as a timedelta; before ``verify`` after the last one, too (default: none).
    :param deferrable: Whether the pause is in the triggerer (default: True); otherwise it holds a worker.
    :param trigger_rule: Whether a skipped task, such as a deployment that a newer run has overtaken, stops the waves that follow, which
        are then skipped (``all_success``, default), or not (``none_failed``).
    :param group_id: Id of the task group (default: ``waves``).
    :param kwargs: Parameters of Airflow's ``TaskGroup``.
    :raises InvalidSpecError: When there is no wave, a wave is empty, a Region is there twice, or has no task, or its first task does not
        wait for what is before it.
    :return: The task group. What comes after it waits for the last wave.
    """
    checked = _checked(waves)
    pause = _pause(bake)
    if trigger_rule not in ("all_success", "none_failed"):
        raise invalid("deploy_in_waves: trigger_rule", trigger_rule, "'all_success' or 'none_failed'")
    group = _Waves(group_id, **kwargs)
    with group:
        for number, places in enumerate(checked, start=1):
            with TaskGroup(f"wave_{number}"):
                gate = _gate("all_succeeded", _tasks_of(places, "", deploy, group.gate), trigger_rule)
                if pause and (verify or number < len(checked)):
                    gate = _baked(gate, pause, deferrable=deferrable)
                if verify:
                    gate = _gate("all_verified", _tasks_of(places, "verify_", verify, gate), trigger_rule)
            group.gate = gate
    return group


def _gate(task_id: str, tasks: Iterable[BaseOperator], trigger_rule: str) -> BaseOperator:
    """Make the task that succeeds when all of these have."""
    from airflow.providers.standard.operators.empty import EmptyOperator

    before = list(tasks)  # made first, as the order of the graph is that of their making
    gate: BaseOperator = EmptyOperator(task_id=task_id, trigger_rule=trigger_rule)
    before >> gate
    return gate


def _baked(gate: BaseOperator, pause: timedelta, *, deferrable: bool) -> BaseOperator:
    from airflow_sm_hosting.task_groups.bake import Bake

    bake: BaseOperator = Bake(task_id="bake", time_to_wait=pause, deferrable=deferrable)
    gate >> bake
    return bake


def _tasks_of(
    places: Mapping[str, Any], prefix: str, make: Callable[[Any], Any], before: BaseOperator | None
) -> Generator[BaseOperator, None, None]:
    """Make the tasks of each place, after a gate; yield those that must succeed."""
    for name, place in places.items():
        with TaskGroup(f"{prefix}{name}") as group:
            make(place)
        tasks: list[Any] = list(group.iter_tasks())
        if not tasks:
            raise InvalidSpecError(
                f"deploy_in_waves: no task was made for {place!r}; allowed: a function that makes tasks when it is called."
            )
        for root in group.get_roots():
            _check_root(root, place)
            if before is not None:
                before >> root
        if before is not None:
            _warn_of_other_rules(tasks)
        yield from (task for task in tasks if not _is_after_failure(task))


def _warn_of_other_rules(tasks: Iterable[Any]) -> None:
    names = [task.task_id for task in tasks if _rule(task) not in _AFTER_SUCCESS and not task.is_teardown]
    if names:
        warnings.warn(
            f"deploy_in_waves: {', '.join(names)} may also run if the wave before failed, when nothing of the Region was changed: the "
            "tasks before it are upstream_failed then. Make it a teardown, which does not run then, or let it look what there is to do.",
            stacklevel=5,
        )


def _check_root(task: Any, place: Any) -> None:
    rule = _rule(task)
    if rule not in _AFTER_SUCCESS:
        raise InvalidSpecError(
            f"deploy_in_waves: the task {task.task_id} is the first one of {place!r} and has the trigger rule {rule!r}, so that "
            f"it would run after a failed wave, too; allowed: {', '.join(_AFTER_SUCCESS)}."
        )


def _is_after_failure(task: Any) -> bool:
    return bool(task.is_teardown) or _rule(task) in _AFTER_FAILURE


def _rule(task: Any) -> str:
    """Return a task's trigger rule: a member of an enum of Airflow, or its value."""
    return str(getattr(task.trigger_rule, "value", task.trigger_rule))


def _checked(waves: Any) -> list[dict[str, Any]]:
    """Return the places of each wave, by the names of their task groups."""
    where = "deploy_in_waves: waves"
    if isinstance(waves, str | Mapping) or not isinstance(waves, Sequence) or not waves:
        raise invalid(where, waves, "a list of one wave or more, each a list of Regions")
    found: dict[str, str] = {}
    checked: list[dict[str, Any]] = []
    for index, wave in enumerate(waves):
        here = f"{where}[{index}]"
        if isinstance(wave, str | Mapping) or not isinstance(wave, Sequence):
            raise invalid(here, wave, "a list of Regions", hint=f"Write a wave of one Region as [{wave!r}].")
        if not wave:
            raise InvalidSpecError(f"{here} is empty; allowed: one Region or more in each wave.")
        places: dict[str, Any] = {}
        for number, place in enumerate(wave):
            name = _name(f"{here}[{number}]", place)
            if name in found:
                raise InvalidSpecError(
                    f"{here}[{number}] is {place!r}, and so is {found[name]}; allowed: each Region of an account once."
                )
            found[name] = f"{here}[{number}]"
            places[name] = place
        checked.append(places)
    return checked


def _name(where: str, place: Any) -> str:
    """Return the name of a place's task group: its Region, and its connection where one is given."""
    given = {"region_name": place} if isinstance(place, str) else place
    if not isinstance(given, Mapping):
        raise invalid(where, place, _PLACE)
    region, connection = given.get("region_name"), given.get("aws_conn_id")
    for what, value in ((where, region), (f"{where}: aws_conn_id", connection)):
        if is_rendered_later(value):
            raise invalid(what, value, "a literal: the tasks of a DAG are laid out while its file is parsed")
    check_text(where, region, pattern=REGION, allowed=_PLACE)
    if connection is not None:
        check_text(f"{where}: aws_conn_id", connection, pattern=r".+", allowed="the id of a connection")
    parts = [connection, region] if connection else [region]
    return re.sub(r"\W+", "_", "_".join(map(str, parts)))


def _pause(bake: Any) -> timedelta | None:
    if bake is None:
        return None
    where, allowed = "deploy_in_waves: bake", "seconds, or a timedelta, of more than 0"
    if isinstance(bake, bool) or not isinstance(bake, timedelta | int | float):
        raise invalid(where, bake, allowed)
    pause = bake if isinstance(bake, timedelta) else timedelta(seconds=bake)
    if pause <= timedelta():
        raise invalid(where, bake, allowed)
    return pause
