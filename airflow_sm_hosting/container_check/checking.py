"""Check a container: observe it under each condition, judge, and report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests
from docker.errors import APIError, DockerException

from airflow_sm_hosting.container_check.contract import (
    BIND_LABEL,
    CHECKED_MODEL_PATH,
    MODEL_PATH,
)
from airflow_sm_hosting.container_check.engine import CheckEngine, said
from airflow_sm_hosting.container_check.judging import judge
from airflow_sm_hosting.container_check.observation import Condition, Image, Observation, Run
from airflow_sm_hosting.container_check.registry_manifest import manifest_of
from airflow_sm_hosting.container_check.report import Report
from airflow_sm_hosting.container_check.running import observe_run
from airflow_sm_hosting.container_check.wanted import Wanted
from airflow_sm_hosting.exceptions import ContainerCheckError
from airflow_sm_hosting.images.recipe import Login
from airflow_sm_hosting.spec.masking import masker

log = logging.getLogger(__name__)


def check_container(
    image: str,
    wanted: Wanted,
    *,
    folder: Path,
    archive: Path | None = None,
    model_error: str = "",
    environment: Mapping[str, str] | None = None,
    login: Login | None = None,
) -> Report:
    """Check a container, and return the report; everything that was started is removed.

    :param image: The image, in the engine or in a registry.
    :param wanted: What is checked.
    :param folder: A locked folder (:func:`airflow_sm_hosting.work_folder.work_folder`), by which the next check knows whether this one lives.
    :param archive: The model data, a ``.tar.gz`` that was checked.
    :param model_error: Why there is none, although there should be.
    :param environment: The container's environment; its values are masked in the report.
    :param login: Credentials of the image's registry (default: those of Docker's configuration).
    :raises ContainerCheckError: No Docker Engine answers, or it fails.
    """
    started = time.monotonic()
    given = dict(environment or {})
    with _told(), CheckEngine.connect(folder) as engine:
        observed = _observe(
            engine, image, wanted, archive=archive, model_error=model_error, environment=given, login=login
        )
    report = Report(image, judge(wanted, observed), time.monotonic() - started)
    return report.masked(masker([*given.values(), *([login.password] if login else [])]))


@contextmanager
def _told() -> Iterator[None]:
    """Tell a failure of the engine in its own sentence."""
    try:
        yield
    except (DockerException, requests.RequestException) as error:
        what = said(error) if isinstance(error, DockerException) else error
        raise ContainerCheckError(f"The Docker Engine failed during the check: {what}") from error


def _observe(
    engine: CheckEngine,
    reference: str,
    wanted: Wanted,
    *,
    archive: Path | None,
    model_error: str,
    environment: Mapping[str, str],
    login: Login | None,
) -> Observation:
    try:
        image = engine.image(reference, wanted.platform, login)
    except DockerException as error:
        return Observation(None, said(error), model_error=model_error)
    manifest = manifest_of(reference, login)
    if model_error:
        return Observation(image, manifest=manifest, model_error=model_error)
    model = None
    if archive:
        path = CHECKED_MODEL_PATH if wanted.multi_model else MODEL_PATH
        try:
            model = engine.model_volume(reference, archive, path)
        except APIError as error:
            return Observation(
                image, manifest=manifest, model_error=f"the archive cannot be unpacked: {said(error)}"
            )
    runs: dict[Condition, Run] = {}
    for condition in _conditions(wanted, image):
        if condition is not Condition.PLAIN and runs[Condition.PLAIN].ready_seconds is None:
            break
        log.info("Running %s (%s)", reference, condition)
        runs[condition] = observe_run(
            engine, reference, condition, wanted=wanted, environment=environment, model=model
        )
    return Observation(image, manifest=manifest, runs=runs)


def _conditions(wanted: Wanted, image: Image) -> Iterable[Condition]:
    """Return the conditions under which the container is run, the plain one first."""
    yield Condition.PLAIN
    if image.labels.get(BIND_LABEL) == "true" and not wanted.multi_model:
        yield Condition.OTHER_PORT
    if wanted.network_isolation:
        yield Condition.NETWORK_ISOLATION
    if wanted.read_only or wanted.is_serverless:
        yield Condition.READ_ONLY
    if wanted.non_root:
        yield Condition.NON_ROOT
