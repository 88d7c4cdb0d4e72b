"""``sm-hosting check-container``."""

from __future__ import annotations

import json
import logging
import re
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_sm_hosting.container_check.report import table
from airflow_sm_hosting.container_check.wanted import Wanted, sample_requests
from airflow_sm_hosting.exceptions import (
    ContainerCheckError,
    ImageBuildError,
    InvalidSpecError,
    ModelDataError,
)
from airflow_sm_hosting.spec.checks import check_instance_type_form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_sm_hosting.container_check.report import Report

#: Exit codes.
PASSED, FAILED, NOT_CHECKED = 0, 1, 2
_SIGTERM_CODE, _SIGINT_CODE = 128 + signal.SIGTERM, 128 + signal.SIGINT


@dataclass(frozen=True)
class CheckOptions:
    """What the command line asks for.

    :param target: An image, or a folder with a Dockerfile.
    :param model: Model data: a folder, an archive or an ``s3://`` URL.
    :param request: Files of requests that the container must answer.
    :param env: Its environment, as ``NAME=VALUE`` or ``NAME``.
    :param instance_type: The instance type, for its platform and memory.
    :param serverless: The memory of a serverless endpoint, in MB.
    :param memory: The memory that it may use, in MB.
    :param startup_timeout: Seconds until it answers a ping.
    :param invocation_timeout: Seconds for an answer.
    :param stop_timeout: Seconds until it ends after SIGTERM.
    :param multi_model: Whether to check the operations of a multi-model container.
    :param network_isolation: Whether to run it without a network, too.
    :param read_only: Whether to run it with a read-only root file system, too.
    :param non_root: Whether to run it as another user than root, too.
    :param dockerfile: The Dockerfile in the folder.
    :param build_arg: Build arguments, as ``NAME=VALUE``.
    :param as_json: Whether to print the report as JSON.
    """

    target: str
    model: str | None
    request: Sequence[str]
    env: Sequence[str]
    instance_type: str | None
    serverless: int | None
    memory: int | None
    startup_timeout: float
    invocation_timeout: float
    stop_timeout: float
    multi_model: bool
    network_isolation: bool
    read_only: bool
    non_root: bool
    dockerfile: str
    build_arg: Sequence[str]
    as_json: bool


def run(options: CheckOptions) -> int:
    """Run the command, and return its exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # By default it ends the process at once, and the containers stay.
    before = signal.signal(signal.SIGTERM, _end)
    try:
        report = _report(options)
    except (InvalidSpecError, ContainerCheckError) as error:
        print(error, file=sys.stderr)
        return NOT_CHECKED
    except ImageBuildError as error:
        print(error, file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return _SIGINT_CODE
    finally:
        signal.signal(signal.SIGTERM, before)
    if options.as_json:
        print(json.dumps(report.details(), indent=2))
    else:
        print(table(report.rows, width=shutil.get_terminal_size((120, 24)).columns))
        print(f"\n{report.summary()}")
    return PASSED if report.has_passed else FAILED


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(_SIGTERM_CODE)


def _report(options: CheckOptions) -> Report:
    wanted, environment = _wanted(options), _pairs("--env", options.env)
    # 0.2 s to import, for those who use it.
    from airflow_sm_hosting.container_check.checking import check_container
    from airflow_sm_hosting.work_folder import work_folder

    image = _build(options, wanted.platform) if Path(options.target).is_dir() else options.target
    with work_folder() as folder:
        archive, model_error = None, ""
        if options.model:
            try:
                archive = _archive(options.model, folder)
            except ModelDataError as error:
                model_error = str(error)
        return check_container(
            image,
            wanted,
            folder=folder,
            archive=archive,
            model_error=model_error,
            environment=environment,
        )


def _archive(source: str, folder: Path) -> Path:
    from airflow_sm_hosting.container_check.model_data import model_archive

    if "://" not in source:
        return model_archive(source, folder=folder, s3=_s3)
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return model_archive(source, folder=folder, s3=_s3)
    except (BotoCoreError, ClientError) as error:
        raise InvalidSpecError(f"{source} cannot be read: {error}") from error


def _s3() -> Any:
    import boto3

    return boto3.client("s3")


def _wanted(options: CheckOptions) -> Wanted:
    if options.instance_type:
        if options.serverless:
            raise InvalidSpecError("Give --instance-type or --serverless, not both.")
        check_instance_type_form("--instance-type", options.instance_type)
    if options.multi_model and not options.model:
        raise InvalidSpecError("--multi-model needs --model, which is loaded as one of its models.")
    if options.memory is not None and options.memory < 1:
        raise InvalidSpecError(f"--memory is {options.memory}; allowed: 1 or more.")
    return Wanted(
        instance_type=options.instance_type,
        serverless_memory_mb=options.serverless,
        memory_mb=options.memory,
        requests=sample_requests(options.request, Path),
        has_model_data=options.model is not None,
        startup_seconds=options.startup_timeout,
        invocation_seconds=options.invocation_timeout,
        stop_seconds=options.stop_timeout,
        multi_model=options.multi_model,
        network_isolation=options.network_isolation,
        read_only=options.read_only,
        non_root=options.non_root,
    )


def _pairs(where: str, given: Sequence[str]) -> dict[str, str]:
    """Return the names and values of an option; a name alone takes its value from the environment, as Docker does."""
    import os

    pairs = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not name or (not equals and name not in os.environ):
            raise InvalidSpecError(
                f"{where} is {name!r}; allowed: NAME=VALUE, or the name of a variable that is set."
            )
        pairs[name] = value if equals else os.environ[name]
    return pairs


def _build(options: CheckOptions, platform: str) -> str:
    """Build the folder into the engine, and return the image's name; the engine keeps it, as the cache of the next build."""
    from airflow_sm_hosting.images.context import BuildContext
    from airflow_sm_hosting.images.docker_builder import DockerBuilder
    from airflow_sm_hosting.images.recipe import BuildRecipe

    context = BuildContext(options.target, dockerfile=options.dockerfile)
    recipe = BuildRecipe(context, build_args=_pairs("--build-arg", options.build_arg), platform=platform)
    name = re.sub(r"[^a-z0-9]+", "-", context.directory.name.lower()).strip("-") or "image"
    reference = f"sm-hosting-check/{name}:latest"
    print(f"Building {context.directory} as {reference}", file=sys.stderr)
    try:
        builder = DockerBuilder.connect()
    except ImageBuildError as error:
        raise ContainerCheckError(str(error)) from error
    builder.build(recipe, reference, logging.getLogger(__name__))
    return reference
