"""``sm-hosting endpoint``: endpoints of Amazon SageMaker hosting, in AWS or in the local AWS."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_sm_hosting.cli.connection import aws_options, complete_endpoint_names
from airflow_sm_hosting.cli.exit_codes import DONE, FAILED, INTERRUPTED
from airflow_sm_hosting.cli.options import duration, json_option
from airflow_sm_hosting.cli.output import console, print_json
from airflow_sm_hosting.spec.smoke_test import ASYNCHRONOUS, REAL_TIME, STREAMED

if TYPE_CHECKING:
    from airflow_sm_hosting.cli.connection import ShellAws
    from airflow_sm_hosting.deployment.deployment_plan import DeploymentPlan
    from airflow_sm_hosting.deployment.wanted import Wanted

#: The time budget of a rollback: AWS's longest start-up and download, and an hour to shift the traffic.
_ROLLBACK_TIME = "4h"

endpoint_argument = click.argument(
    "endpoint_name", metavar="ENDPOINT", shell_complete=complete_endpoint_names
)


def deployment_config(given: str) -> dict[str, Any]:
    """Return a DeploymentConfig given as JSON, or as ``@FILE``."""
    try:
        text = Path(given[1:]).read_text(encoding="utf-8") if given.startswith("@") else given
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"{given!r} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{given!r} is not a JSON object")
    return found


rollout_option = click.option(
    "--deployment-config",
    "rollout",
    type=deployment_config,
    metavar="JSON|@FILE",
    help="How the traffic moves: DeploymentConfig of UpdateEndpoint. [default: AWS's, all at once]",
)
adopt_option = click.option(
    "--adopt", is_flag=True, help="Also change an endpoint that this package has not deployed."
)


@click.group()
def endpoint() -> None:
    """Show, plan, roll back and invoke endpoints of Amazon SageMaker hosting."""


@endpoint.command("list")
@click.option("--name-contains", metavar="TEXT", help="Only endpoints with this in their names.")
@click.option("--status", metavar="STATUS", help="Only endpoints in this status, e.g. InService.")
@aws_options
@json_option
def list_endpoints(aws: ShellAws, *, name_contains: str | None, status: str | None, as_json: bool) -> None:
    """List endpoints with status, config, since when it serves, and instances."""
    from airflow_sm_hosting.cli.endpoint_reading import listed_endpoints

    found = listed_endpoints(aws, name_contains=name_contains, status=status)
    if as_json:
        print_json([one.summary() for one in found])
        return
    from airflow_sm_hosting.cli.drawing import draw_list

    if found:
        draw_list(console(), found)
    else:
        click.echo(f"No endpoints in {aws.sagemaker_hook.conn_region_name}.")


@endpoint.command()
@endpoint_argument
@aws_options
@json_option
def show(aws: ShellAws, *, endpoint_name: str, as_json: bool) -> None:
    """Show an endpoint: what serves since when, variants, alarms, rollback target, history."""
    from airflow_sm_hosting.cli.endpoint_reading import EndpointReader

    view = EndpointReader(aws).view(endpoint_name)
    if as_json:
        print_json(view.as_json())
        return
    from airflow_sm_hosting.cli.drawing import draw_endpoint

    draw_endpoint(console(), view, datetime.now(UTC))


@endpoint.command()
@endpoint_argument
@aws_options
@json_option
def history(aws: ShellAws, *, endpoint_name: str, as_json: bool) -> None:
    """List the configs of an endpoint, the newest first: what serves, what served before, what was rolled back.

    AWS stores no history; the tags that the deployments of this package write tell the last configs and the last runs.
    """
    from airflow_sm_hosting.cli.endpoint_reading import EndpointReader

    view = EndpointReader(aws).view(endpoint_name)
    if as_json:
        print_json([asdict(one) for one in view.history])
        return
    from airflow_sm_hosting.cli.drawing import draw_history

    draw_history(console(), view.history)


@endpoint.command()
@endpoint_argument
@click.argument("endpoint_config_name", metavar="[CONFIG]", required=False)
@click.option(
    "--rollback", "rolls_back", is_flag=True, help="Plan a rollback: to CONFIG, or to what served before."
)
@rollout_option
@adopt_option
@aws_options
@json_option
@click.pass_context
def plan(
    context: click.Context,
    /,
    aws: ShellAws,
    *,
    endpoint_name: str,
    endpoint_config_name: str | None,
    rolls_back: bool,
    rollout: Mapping[str, Any] | None,
    adopt: bool,
    as_json: bool,
) -> None:
    """Show what the deployment of a config, or a rollback, would change; nothing is changed.

    Exit code 1: the deployment would be refused, or would fail.
    """
    if endpoint_config_name is None and not rolls_back:
        raise click.UsageError("Give a CONFIG, or --rollback.")
    from airflow_sm_hosting.cli.deploying import REFUSALS, planned, wanted_deployment

    wanted = wanted_deployment(endpoint_name, endpoint_config_name, deployment_config=rollout, adopt=adopt)
    found = planned(aws, wanted, rolls_back=rolls_back)
    if as_json:
        print_json(found.as_json())
    else:
        _draw_plan(found, stderr=False)
    context.exit(FAILED if found.decision.action in REFUSALS else DONE)


def _draw_plan(found: DeploymentPlan, *, stderr: bool) -> None:
    """Print a plan: formatted in a terminal, as Markdown in a pipe."""
    screen = console(stderr=stderr)
    if screen.is_terminal:
        from rich.markdown import Markdown

        screen.print(Markdown(found.as_markdown()))
    else:
        click.echo(found.as_markdown(), nl=False, err=stderr)


@endpoint.command()
@endpoint_argument
@click.argument("endpoint_config_name", metavar="[CONFIG]", required=False)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@rollout_option
@adopt_option
@click.option(
    "--timeout",
    type=duration,
    metavar="DURATION",
    default=_ROLLBACK_TIME,
    help="The time budget; when it ends, the rollback goes on in AWS.",
)
@click.option(
    "--poll-interval", type=duration, metavar="DURATION", default="5s", help="The time between two looks."
)
@aws_options
@json_option
@click.pass_context
def rollback(
    context: click.Context,
    /,
    aws: ShellAws,
    *,
    endpoint_name: str,
    endpoint_config_name: str | None,
    yes: bool,
    rollout: Mapping[str, Any] | None,
    adopt: bool,
    timeout: float,
    poll_interval: float,
    as_json: bool,
) -> None:
    """Roll an endpoint back to CONFIG, or to the config that served before, and wait for the outcome.

    The plan and the progress are on standard error. Exit code 130: Ctrl-C ended the wait; the rollback goes on in AWS.
    """
    from airflow_sm_hosting.cli.deploying import REFUSALS, planned, wanted_deployment
    from airflow_sm_hosting.cli.endpoint_reading import described_endpoint
    from airflow_sm_hosting.deployment.decision import Action

    name = described_endpoint(aws, endpoint_name)["EndpointName"]
    wanted = wanted_deployment(name, endpoint_config_name, deployment_config=rollout, adopt=adopt)
    found = planned(aws, wanted, rolls_back=True)
    _draw_plan(found, stderr=True)
    if found.decision.action in REFUSALS:
        context.exit(FAILED)
    if not yes and found.decision.action != Action.UNCHANGED:
        _confirm(f"Roll {name} back to {found.target}?")
    # What was shown and confirmed, also if another run deploys meanwhile.
    wanted = wanted_deployment(name, found.target, deployment_config=rollout, adopt=adopt)
    details = _rolled_back(context, aws, wanted, timeout, poll_interval)
    if as_json:
        print_json({"endpoint_name": name, **details})
    else:
        click.echo(f"{name} serves {details['endpoint_config_name']} ({details['seconds']:g} s).")


def _confirm(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Standard input is no terminal to ask on. Give --yes to roll back.")
    click.confirm(question, abort=True, err=True)


def _rolled_back(
    context: click.Context, aws: ShellAws, wanted: Wanted, timeout: float, poll_seconds: float
) -> dict[str, Any]:
    """Roll back, show the progress, and return the details."""
    from airflow_sm_hosting.cli.deploying import carry_out

    try:
        with _progress(f"Rolling {wanted.endpoint_name} back") as log_status:
            return carry_out(
                aws,
                wanted,
                rolls_back=True,
                timeout=timeout,
                poll_seconds=poll_seconds,
                log_status=log_status,
            )
    except KeyboardInterrupt:
        click.echo(
            f"The rollback of {wanted.endpoint_name} goes on in AWS: sm-hosting endpoint show {wanted.endpoint_name}",
            err=True,
        )
        context.exit(INTERRUPTED)


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """Yield what takes status lines: they are lines on standard error, below them a spinner where that is a terminal."""
    screen = console(stderr=True)
    if not screen.is_terminal:
        yield lambda line: click.echo(line, err=True)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=screen, transient=True
    ) as progress:
        progress.add_task(title, total=None)
        yield lambda line: screen.print(line, markup=False)


@endpoint.command()
@endpoint_argument
@click.option("--variant", metavar="NAME", help="Only logs of this variant.")
@click.option("--follow", "-f", is_flag=True, help="Follow the logs until Ctrl-C.")
@click.option("--since", type=duration, metavar="DURATION", help="Only lines of the last seconds, 10m, 2h.")
@aws_options
@json_option
def logs(
    aws: ShellAws,
    *,
    endpoint_name: str,
    variant: str | None,
    follow: bool,
    since: float | None,
    as_json: bool,
) -> None:
    """Print the logs of an endpoint's containers, from CloudWatch Logs. With --json, each line is a JSON object."""
    from airflow_sm_hosting.cli.container_logs import print_logs

    print_logs(
        aws.endpoint_logs_hook.conn,
        endpoint_name,
        variant=variant,
        follow=follow,
        as_json=as_json,
        since=None if since is None else time.time() - since,
        # GetLogEvents has a quota of 25 requests a second, of an account and a Region.
        poll_seconds=1.0,
    )


@endpoint.command()
@endpoint_argument
@click.argument("body", required=False)
@click.option("--content-type", default="application/json", help="The MIME type of the body.")
@click.option("--accept", metavar="TYPE", help="The MIME type of the answer.")
@click.option("--variant", "target_variant", metavar="NAME", help="The variant that is to answer.")
@click.option("--target-model", metavar="NAME", help="The model of a multi-model endpoint.")
@click.option("--component", "component", metavar="NAME", help="The inference component.")
@click.option(
    "--kind",
    type=click.Choice([REAL_TIME, STREAMED, ASYNCHRONOUS]),
    default=REAL_TIME,
    help="How to send the request.",
)
@aws_options
@json_option
def invoke(
    aws: ShellAws,
    *,
    endpoint_name: str,
    body: str | None,
    content_type: str,
    accept: str | None,
    target_variant: str | None,
    target_model: str | None,
    component: str | None,
    kind: str,
    as_json: bool,
) -> None:
    """Invoke an endpoint once, and print its answer.

    BODY: the body of the request; '@FILE' reads it from a file, '-' or nothing from standard input. With --kind asynchronous, the
    answer is the place in S3 where the endpoint will write it.
    """
    from airflow_sm_hosting.deployer.invocation import Accepted, checked_request, encoded, invoke as send

    members = {
        "ContentType": content_type,
        "Accept": accept,
        "TargetVariant": target_variant,
        "TargetModel": target_model,
        "InferenceComponentName": component,
    }
    request = checked_request(kind, endpoint_name, {name: one for name, one in members.items() if one})
    request["Body"] = encoded(_body(body))
    answer = send(aws.runtime_hook, kind, request, log=lambda *_: None)
    if isinstance(answer, Accepted):
        _print_accepted(answer.output, answer.failure, as_json=as_json)
    elif as_json:
        print_json(
            {
                "body": answer.text,
                "content_type": answer.content_type,
                "variant": answer.variant,
                "milliseconds": answer.milliseconds,
            }
        )
    else:
        click.echo(answer.content, nl=sys.stdout.isatty() and not answer.content.endswith(b"\n"))


def _print_accepted(output: str, failure: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"output_location": output, "failure_location": failure})
    else:
        click.echo(output)


def _body(given: str | None) -> bytes:
    if given is None or given == "-":
        if given is None and sys.stdin.isatty():
            raise click.UsageError("Give a BODY, or write it to standard input.")
        return sys.stdin.buffer.read()
    if given.startswith("@"):
        try:
            return Path(given[1:]).read_bytes()
        except OSError as error:
            raise click.BadParameter(f"{given[1:]} cannot be read: {error}") from error
    return given.encode()
