"""How the commands reach AWS: with the credentials of the shell, a profile, or the local AWS; without an Airflow connection."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from airflow_sm_hosting.cli.logs_on_stderr import logs_on_stderr
from airflow_sm_hosting.cli.options import DEFAULT_PORT
from airflow_sm_hosting.cli.running import running_on
from airflow_sm_hosting.hooks.parameters import AwsParameters

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Function = TypeVar("Function", bound=Callable[..., Any])

#: Variables that come before a profile, in botocore's order of credentials.
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
#: Patience of the completion of names, in seconds: a shell waits for it.
_COMPLETION_SECONDS = 2
_MOST_NAMES = 100


class ShellAws(AwsParameters):
    """Makes hooks with the shell's credentials.

    :param region_name: The Region (default: the shell's or the profile's).
    """

    def __init__(self, region_name: str | None) -> None:
        self.aws_conn_id = None
        self.region_name = region_name
        self.verify = None
        self.botocore_config = None


def aws_options(function: Function) -> Function:
    """Add the options of the connection; the command gets a :class:`ShellAws` as ``aws``."""

    @functools.wraps(function)
    def command(
        *,
        region: str | None,
        profile: str | None,
        endpoint_url: str | None,
        use_local: bool,
        port: int,
        **given: Any,
    ) -> Any:
        variables = _variables(profile, endpoint_url, local_port=port if use_local else None)
        context = click.get_current_context()
        context.with_resource(logs_on_stderr())
        context.with_resource(_environment(variables))
        region = region or (variables.get("AWS_DEFAULT_REGION") if use_local else None)
        return function(aws=ShellAws(region), **given)

    decorated: Any = command
    for decorate in (
        click.option("--port", type=int, default=DEFAULT_PORT, help="The port of --local."),
        click.option("--local", "use_local", is_flag=True, help="Use the local AWS of this computer."),
        click.option(
            "--endpoint-url", metavar="URL", help="Where AWS is. [default: AWS's own, or $AWS_ENDPOINT_URL]"
        ),
        click.option(
            "--profile", metavar="NAME", help="A profile of the AWS configuration. [default: $AWS_PROFILE]"
        ),
        click.option("--region", metavar="NAME", help="The Region. [default: $AWS_REGION or the profile's]"),
    ):
        decorated = decorate(decorated)
    return decorated  # type: ignore[no-any-return]


def _variables(
    profile: str | None, endpoint_url: str | None, *, local_port: int | None
) -> dict[str, str | None]:
    """Return the variables of the environment to set, or to remove."""
    if local_port is not None:
        if profile or endpoint_url:
            raise click.UsageError("Give --local, or --profile and --endpoint-url, not both.")
        local = running_on(local_port).control().environment()
        return {"AWS_PROFILE": None, "AWS_SESSION_TOKEN": None, **local}
    variables: dict[str, str | None] = {}
    if profile:
        variables |= {"AWS_PROFILE": profile, **dict.fromkeys(_CREDENTIALS)}
    if endpoint_url:
        variables["AWS_ENDPOINT_URL"] = endpoint_url
    return variables


@contextmanager
def _environment(variables: Mapping[str, str | None]) -> Iterator[None]:
    """Change the environment as long as the command runs."""
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def complete_endpoint_names(
    context: click.Context, _: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Return the endpoints whose names begin like the word before the cursor; none if AWS does not answer at once."""
    from click.shell_completion import CompletionItem

    given = context.params
    try:
        variables = _variables(
            given.get("profile"),
            given.get("endpoint_url"),
            local_port=given.get("port", DEFAULT_PORT) if given.get("use_local") else None,
        )
        with _environment(variables):
            names = _endpoint_names(given.get("region"), incomplete)
    except Exception:
        # A message would stand in the middle of the command line.
        return []
    return [CompletionItem(name) for name in names]


def _endpoint_names(region_name: str | None, prefix: str) -> list[str]:
    # Not the hook: to import Airflow takes longer than a person at a prompt waits.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_COMPLETION_SECONDS, read_timeout=_COMPLETION_SECONDS, retries={"max_attempts": 0}
    )
    sagemaker = boto3.Session(region_name=region_name).client("sagemaker", config=config)
    containing: Any = {"NameContains": prefix} if prefix else {}
    rows = sagemaker.list_endpoints(MaxResults=_MOST_NAMES, **containing)["Endpoints"]
    return sorted(row["EndpointName"] for row in rows if row["EndpointName"].startswith(prefix))
