"""The root of the command line: its groups, which are imported when they are used, its errors and its exit codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from airflow_sm_hosting import __version__
from airflow_sm_hosting.cli.exit_codes import FAILED, FailedError, WrongUsageError
from airflow_sm_hosting.exceptions import InvalidSpecError, SageMakerHostingError

#: The commands, where they are, and their line of help: a command is imported only when it is used.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "check-container": (
        "airflow_sm_hosting.cli.check_container:check_container",
        "Run a container as SageMaker would, and tell what breaks its contract.",
    ),
    "endpoint": (
        "airflow_sm_hosting.cli.endpoint:endpoint",
        "Show, plan, roll back and invoke endpoints of Amazon SageMaker hosting.",
    ),
    "local": (
        "airflow_sm_hosting.cli.local:local",
        "SageMaker hosting, S3, ECR and other AWS services on this computer.",
    ),
}


class Root(click.Group):
    """The group ``sm-hosting``: help and completion need only the names of its commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete the name of a command, or an option."""
        from click.shell_completion import CompletionItem

        found = [
            CompletionItem(name, help=text)
            for name, (_, text) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong in it is one line on standard error."""
        try:
            return super().invoke(ctx)
        except InvalidSpecError as error:
            raise WrongUsageError(str(error)) from error
        except SageMakerHostingError as error:
            raise FailedError("\n".join([str(error), *_notes(error)])) from error
        except Exception as error:
            if not _is_of_aws(error):
                raise
            raise FailedError(f"{type(error).__name__}: {error}") from error


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no local AWS runs.",
)
@click.version_option(__version__, "--version", prog_name="sm-hosting")
def sm_hosting() -> None:
    """Tools for Amazon SageMaker hosting with Airflow."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    :param arguments: The command line without the program (default: this process's).
    """
    run: Callable[..., Any] = sm_hosting.main
    try:
        code = run(args=arguments, prog_name="sm-hosting", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("Aborted.", err=True)
        return FAILED
    return code if isinstance(code, int) else 0


def _notes(error: SageMakerHostingError) -> list[str]:
    """Return where the page of an error is, if it has an entry of its own."""
    has_entry = type(error).__module__ == SageMakerHostingError.__module__
    return getattr(error, "__notes__", []) if has_entry else []


def _is_of_aws(error: Exception) -> bool:
    """Return whether botocore raised an error, without importing botocore."""
    return any(kind.__module__.partition(".")[0] == "botocore" for kind in type(error).__mro__)
