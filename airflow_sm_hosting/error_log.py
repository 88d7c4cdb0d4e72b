"""How the error of a task looks in its log: its sentence on a line of its own, and a traceback without internals."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from airflow_sm_hosting.exceptions import DeploymentError, DeploymentRolledBackError, SageMakerHostingError

log = logging.getLogger(__name__)

#: The longest sentence, in characters: it fits on a screen, and Airflow shows it in "Recent Failed Task Logs".
LONGEST_HEADLINE = 150

#: Exceptions by which a task tells Airflow what to do next.
CONTROL_FLOW = frozenset({"AirflowSkipException", "AirflowRescheduleException"})

#: Packages whose frames tell nothing about a task: retries, the internals of boto3, and the guard of each task.
_HIDDEN = ("tenacity", "botocore", "boto3", "airflow_sm_hosting.guarded_task")

#: Packages whose frames are the task itself. The errors of this package say in words what the other frames would.
_TASKS = ("airflow_sm_hosting.operators", "airflow_sm_hosting.sensors")


def log_error(error: Exception) -> None:
    """Log where to find help, and as the last line the error's sentence, with its cause first.

    Airflow logs the traceback after that, and its UI opens a log at its end.

    :param error: The error of a task, masked.
    """
    if CONTROL_FLOW & {one.__name__ for one in type(error).__mro__}:
        return
    log.debug("The whole traceback of the error", exc_info=error)
    if isinstance(error, SageMakerHostingError):
        # Airflow's UI shows an error without its notes.
        log.error("How to resolve it: %s", error.docs_url)
    log.error("%s", headline(error))


def headline(error: Exception) -> str:
    """Return an error in one short sentence, with its cause first."""
    response: Any = getattr(error, "response", None)
    if isinstance(error, SageMakerHostingError):
        text = _deployment_text(error) if isinstance(error, DeploymentError) else _first_sentence(str(error))
    elif isinstance(response, dict) and "Error" in response:
        found, operation = response["Error"], getattr(error, "operation_name", "AWS")
        text = f"{operation}: {found.get('Code')}: {found.get('Message')}"
    else:
        text = f"{type(error).__name__}: {error}"
    return _cut(" ".join(text.split()))


def shorten_traceback(error: Exception) -> None:
    """Remove internal frames from the traceback of an error, in place.

    An error of this package has a message that says all: of its frames those of the task stay, and not the errors that it comes from.

    :param error: The error.
    """
    frames = [one for one in _entries(error.__traceback__) if not _is_in(one, _HIDDEN)]
    if isinstance(error, SageMakerHostingError):
        error.__cause__, error.__suppress_context__ = None, True
        frames = [one for one in frames if _is_in(one, _TASKS)] or frames
    shortened: TracebackType | None = None
    for one in reversed(frames):
        shortened = TracebackType(shortened, one.tb_frame, one.tb_lasti, one.tb_lineno)
    error.__traceback__ = shortened


def _entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback:
        yield traceback
        traceback = traceback.tb_next


def _is_in(entry: TracebackType, packages: tuple[str, ...]) -> bool:
    name = str(entry.tb_frame.f_globals.get("__name__", ""))
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _deployment_text(error: DeploymentError) -> str:
    """Return the cause and SageMaker's reason, if it gives one, and what serves after a rollback."""
    if not error.reason:
        return _first_sentence(str(error))
    serving = error.details.get("endpoint_config_name") or error.details.get("specification_name")
    tail = f" {serving} serves." if serving and isinstance(error, DeploymentRolledBackError) else ""
    cause = f"{error.cause[:1].upper()}{error.cause[1:]}: " if error.cause else ""
    return _cut(f"{cause}{error.reason}", LONGEST_HEADLINE - len(tail)) + tail


def _first_sentence(text: str) -> str:
    line = text.strip().partition("\n")[0]
    found = re.match(r".+?[.!?](?=\s|$)", line)
    return found[0] if found else line


def _cut(text: str, longest: int = LONGEST_HEADLINE) -> str:
    if len(text) <= longest:
        return text
    return f"{text[: longest - 2].rpartition(' ')[0] or text[: longest - 2]} …"
