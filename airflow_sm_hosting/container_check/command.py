"""``sm-hosting check-container``."""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_sm_hosting.container_check.contract import INVOCATION_SECONDS, STARTUP_SECONDS, STOP_SECONDS
from airflow_sm_hosting.container_check.report import table
from airflow_sm_hosting.container_check.wanted import Wanted, sample_requests
from airflow_sm_hosting.exceptions import (
    ContainerCheckError,
    ImageBuildError,
    InvalidSpecError,
    ModelDataError,
)
from airflow_sm_hosting.spec.checks import check_instance_type_form
from airflow_sm_hosting.spec.variant import SERVERLESS_MEMORY_SIZES

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_sm_hosting.container_check.report import Report

#: Exit codes.
PASSED, FAILED, NOT_CHECKED = 0, 1, 2
_SIGTERM_CODE, _SIGINT_CODE = 128 + signal.SIGTERM, 128 + signal.SIGINT


def add_command(groups: Any, seconds: Callable[[str], float]) -> None:
    """Add the command to a parser.

    :param groups: The parser's commands.
    :param seconds: Returns the seconds of a duration on the command line.
    """
    parser = groups.add_parser(
        "check-container",
        help="run a container as SageMaker would, and tell what breaks its contract",
        description="Run a container as SageMaker would, and tell what breaks its contract. Exit code 0: no check failed, 1: a check "
        "failed, or the image cannot be built; 2: wrong usage, or there is no Docker engine.",
    )
    parser.add_argument(
        "target", metavar="IMAGE|FOLDER", help="an image, or a folder with a Dockerfile to build"
    )
    parser.add_argument(
        "--model", metavar="PATH", help="model data: a folder, a .tar.gz file or an s3:// URL"
    )
    parser.add_argument(
        "--request",
        action="append",
        default=[],
        metavar="FILE",
        help="a request that it must answer: a body, or a JSON object with body, content_type, accept, expect; may be given several times",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of its environment; NAME takes the value from here",
    )
    parser.add_argument("--instance-type", metavar="TYPE", help="ml.m5.large: its platform and its memory")
    parser.add_argument(
        "--serverless",
        type=int,
        choices=SERVERLESS_MEMORY_SIZES,
        metavar="MB",
        help="check it for a serverless endpoint with this memory",
    )
    parser.add_argument(
        "--memory", type=int, metavar="MB", help="the memory that it may use (default: the instance type's)"
    )
    for name, default, what in (
        ("startup", STARTUP_SECONDS, "until it answers /ping"),
        ("invocation", INVOCATION_SECONDS, "for an answer"),
        ("stop", STOP_SECONDS, "until it ends after SIGTERM"),
    ):
        parser.add_argument(
            f"--{name}-timeout",
            type=seconds,
            default=default,
            metavar="DURATION",
            help=f"how long it may take {what} ({default:g}s)",
        )
    parser.add_argument(
        "--multi-model", action="store_true", help="check the operations of a multi-model container"
    )
    parser.add_argument("--network-isolation", action="store_true", help="run it without a network, too")
    parser.add_argument(
        "--read-only", action="store_true", help="run it with a read-only root file system, too"
    )
    parser.add_argument("--non-root", action="store_true", help="run it as another user than root, too")
    parser.add_argument(
        "--dockerfile", default="Dockerfile", help="the Dockerfile in the folder (%(default)s)"
    )
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="a build argument"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
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
    if options.json:
        print(json.dumps(report.details(), indent=2))
    else:
        print(table(report.rows, width=shutil.get_terminal_size((120, 24)).columns))
        print(f"\n{report.summary()}")
    return PASSED if report.has_passed else FAILED


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(_SIGTERM_CODE)


def _report(options: argparse.Namespace) -> Report:
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


def _wanted(options: argparse.Namespace) -> Wanted:
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


def _pairs(where: str, given: list[str]) -> dict[str, str]:
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


def _build(options: argparse.Namespace, platform: str) -> str:
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
