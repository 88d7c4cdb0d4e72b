"""Runs a build: each command of its buildspec in the stand-in container, phase by phase.

https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details-phases.html: what follows on a failed phase.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from airflow_sm_hosting.local.codebuild.build import HostedBuild
from airflow_sm_hosting.local.codebuild.buildspec import (
    Buildspec,
    BuildspecError,
    PhaseCommands,
    parse_buildspec,
)
from airflow_sm_hosting.local.engines.engine import BuildContainer, ContainerError, Engine
from airflow_sm_hosting.local.moto_bridge import secrets
from airflow_sm_hosting.local.moto_bridge.identities import session_key

#: Where commands run, and what the next one takes from the one before: "all build commands run in the same instance of the default shell"
#: (build-spec-ref.html, version 0.2).
SOURCE = "/codebuild/output/src"
_SCRIPT = """
mkdir -p {source} /codebuild/output/tmp
if [ -f /codebuild/output/tmp/env.sh ]; then . /codebuild/output/tmp/env.sh; fi
export CODEBUILD_BUILD_SUCCEEDING={succeeding}
cd "$(cat /codebuild/output/tmp/dir.txt 2>/dev/null || echo {source})"
{command}
CODEBUILD_LAST_EXIT=$?
export -p > /codebuild/output/tmp/env.sh
pwd > /codebuild/output/tmp/dir.txt
exit $CODEBUILD_LAST_EXIT
"""
#: Phases after which the next one follows even where they fail.
_GOES_ON = ("BUILD", "POST_BUILD")


class BuildRunner:
    """Runs one build to its end.

    :param build: The build.
    :param buildspec: The text of its buildspec.
    :param engine: Runs its container.
    :param region: The Region's name.
    :param endpoint_url: Where the local AWS is.
    """

    def __init__(
        self, build: HostedBuild, buildspec: str, engine: Engine, region: str, endpoint_url: str
    ) -> None:
        self._build = build
        self._text = buildspec
        self._engine = engine
        self._region = region
        self._endpoint_url = endpoint_url
        self._environment: dict[str, str] = {}
        self._hidden: list[str] = []

    def run(self) -> None:
        """Run it; this never raises."""
        build = self._build
        try:
            status = self._run()
        except Exception as error:
            build.leave("FAULT", "INTERNAL_ERROR", f"The local AWS failed: {error!r}")
            build.end("FAULT")
            raise
        finally:
            build.release()
        build.end(status)

    def _run(self) -> str:
        build = self._build
        build.leave("SUCCEEDED")  # SUBMITTED
        for phase in ("QUEUED", "PROVISIONING"):
            build.enter(phase)
            if phase == "QUEUED":
                build.leave("SUCCEEDED")
        try:
            container = self._engine.start_build(
                f"codebuild/{build.id}", privileged=build.description["environment"]["privilegedMode"]
            )
        except ContainerError as error:
            build.leave("FAULT", "INTERNAL_ERROR", str(error))
            return "FAULT"
        build.hold(container)
        build.leave("SUCCEEDED")
        succeeded = self._run_phases(container)
        if build.ended_by:
            return build.ended_by
        return "SUCCEEDED" if succeeded else "FAILED"

    def _run_phases(self, container: BuildContainer) -> bool:
        build = self._build
        build.enter("DOWNLOAD_SOURCE")
        spec = self._prepare()
        succeeded = spec is not None
        if spec is not None:
            for phase, commands in spec.phases.items():
                if build.ended_by or not (succeeded or phase == "POST_BUILD"):
                    break
                passed = self._run_phase(container, phase, commands, succeeding=succeeded)
                succeeded = succeeded and passed
                if not passed and phase not in _GOES_ON:
                    break
            else:
                build.enter("UPLOAD_ARTIFACTS")
                build.leave("SUCCEEDED")
        build.enter("FINALIZING")
        build.leave("SUCCEEDED")
        return succeeded

    def _prepare(self) -> Buildspec | None:
        """Read buildspec and secrets; return None where one cannot be read."""
        build = self._build
        build.note("Running on CodeBuild of the local AWS: its image is a stand-in for that of AWS")
        build.note("Phase is DOWNLOAD_SOURCE")
        try:
            spec = parse_buildspec(self._text)
            given = self._given_variables()
        except BuildspecError as error:
            self._end_phase("DOWNLOAD_SOURCE", "FAILED", "YAML_FILE_ERROR", str(error))
            return None
        except LookupError as error:
            # The code and the words are assumed.
            self._end_phase("DOWNLOAD_SOURCE", "FAILED", "CLIENT_ERROR", str(error))
            return None
        # build-spec-ref.html, env/variables: those of the request take precedence, then those of the project.
        self._environment = {**spec.variables, **given, **self._own_variables()}
        self._end_phase("DOWNLOAD_SOURCE", "SUCCEEDED")
        return spec

    def _given_variables(self) -> dict[str, str]:
        found = {}
        for variable in self._build.description["environment"]["environmentVariables"]:
            value = variable["value"]
            if variable["type"] != "PLAINTEXT":
                is_secret = variable["type"] == "SECRETS_MANAGER"
                read = secrets.secret_string if is_secret else secrets.parameter_value
                found_value = read(self._region, value)
                if found_value is None:
                    kind = "secret" if is_secret else "parameter"
                    raise LookupError(
                        f"The {kind} {value} of the variable {variable['name']} cannot be found"
                    )
                value = found_value
                self._hidden.append(value)
            found[variable["name"]] = value
        return found

    def _own_variables(self) -> dict[str, str]:
        """Return what CodeBuild sets (build-env-ref-env-vars.html), and what leads to this server as the service role."""
        description = self._build.description
        return {
            "AWS_DEFAULT_REGION": self._region,
            "AWS_REGION": self._region,
            "AWS_ENDPOINT_URL": self._endpoint_url,
            "AWS_ACCESS_KEY_ID": session_key(description["serviceRole"], "AWSCodeBuild", self._region),
            "AWS_SECRET_ACCESS_KEY": "local",
            "CODEBUILD_BUILD_ARN": description["arn"],
            "CODEBUILD_BUILD_ID": description["id"],
            "CODEBUILD_BUILD_IMAGE": description["environment"]["image"],
            "CODEBUILD_BUILD_NUMBER": str(description["buildNumber"]),
            "CODEBUILD_INITIATOR": description["initiator"],
            "CODEBUILD_LOG_PATH": description["logs"]["streamName"],
            "CODEBUILD_SRC_DIR": SOURCE,
        }

    def _run_phase(
        self, container: BuildContainer, phase: str, commands: PhaseCommands, *, succeeding: bool
    ) -> bool:
        build = self._build
        build.enter(phase)
        build.note(f"Entering phase {phase}")
        run = self._runner_in(container, succeeding=succeeding)
        failed = self._first_failure(run, commands.commands)
        failed = self._first_failure(run, commands.finally_commands) or failed
        if build.ended_by:
            self._end_phase(phase, build.ended_by)
            return False
        if failed:
            command, code = failed
            self._end_phase(
                phase,
                "FAILED",
                "COMMAND_EXECUTION_ERROR",
                # aws-samples/aws-codepipeline-codebuild-with-postman#8
                f"Error while executing command: {command}. Reason: exit status {code}",
            )
            return False
        self._end_phase(phase, "SUCCEEDED")
        return True

    def _first_failure(self, run: Callable[[str], int], commands: Iterable[str]) -> tuple[str, int] | None:
        """Run commands until one fails, and return that one and its exit code."""
        for command in commands:
            if self._build.ended_by:
                return None
            self._build.note(f"Running command {command}")
            if code := run(command):
                self._build.note(f"Command did not exit successfully {command} exit status {code}")
                return command, code
        return None

    def _runner_in(self, container: BuildContainer, *, succeeding: bool) -> Callable[[str], int]:
        def run(command: str) -> int:
            script = _SCRIPT.format(source=SOURCE, command=command, succeeding=int(succeeding))
            return container.run(["sh", "-c", script], self._environment, self._say)

        return run

    def _say(self, line: str) -> None:
        # "CodeBuild masks secrets in the log" (CodeBuild user guide, "secrets" of Secrets Manager).
        for value in self._hidden:
            line = line.replace(value, "***")
        self._build.say([line])

    def _end_phase(self, phase: str, status: str, code: str = "", message: str = "") -> None:
        self._build.note(f"Phase complete: {phase} State: {status}")
        self._build.note(f"Phase context status code: {code} Message: {message}")
        self._build.leave(status, code, message)


def is_supported(environment: Mapping[str, object]) -> bool:
    """Return whether builds in an environment can be run: Linux, in an image of AWS."""
    return environment["type"] in ("LINUX_CONTAINER", "ARM_CONTAINER") and str(
        environment["image"]
    ).startswith("aws/codebuild/")
