"""Buildspecs: the commands of a build.

https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml  # type: ignore[import-untyped]  # a dependency only for its types is not worth it

#: The phases of a buildspec, in their order, by the type of the build's phase.
PHASES = {"INSTALL": "install", "PRE_BUILD": "pre_build", "BUILD": "build", "POST_BUILD": "post_build"}
_KNOWN, _KNOWN_OF_ENV, _KNOWN_OF_PHASE = {"version", "env", "phases"}, {"variables"}, {"commands", "finally"}


class BuildspecError(Exception):
    """A buildspec cannot be read; the message is that of the phase's context."""


@dataclass(frozen=True)
class PhaseCommands:
    """The commands of a phase.

    :param commands: They are run until one fails.
    :param finally_commands: They are run after that in any case.
    """

    commands: tuple[str, ...] = ()
    finally_commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Buildspec:
    """A buildspec.

    :param variables: Environment variables.
    :param phases: By the type of the build's phase.
    """

    variables: Mapping[str, str]
    phases: Mapping[str, PhaseCommands]


def unknown_parts(text: str) -> list[str]:
    """Return the parts of a buildspec that the local AWS does not have; none of one that cannot be read."""
    try:
        spec = yaml.safe_load(text)
    except yaml.YAMLError:
        return []
    if not isinstance(spec, dict):
        return []
    env, phases = spec.get("env") or {}, spec.get("phases") or {}
    found = [f"{key}" for key in spec if key not in _KNOWN]
    found += [f"env/{key}" for key in env if key not in _KNOWN_OF_ENV] if isinstance(env, dict) else []
    if isinstance(phases, dict):
        for name, phase in phases.items():
            found += [f"phases/{name}/{key}" for key in phase or () if key not in _KNOWN_OF_PHASE]
    # Version 0.1 runs each command in a shell of its own.
    return found if str(spec.get("version")) == "0.2" else [*found, f"version {spec.get('version')}"]


def parse_buildspec(text: str) -> Buildspec:
    """Return a buildspec.

    :raises BuildspecError: It cannot be read.
    """
    try:
        spec = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BuildspecError(" ".join(str(error).split())) from error
    if not isinstance(spec, dict):
        # aws-samples/aws-container-devsecops-workshop#7
        raise BuildspecError("wrong number of container tags, expected 1")
    phases = spec.get("phases")
    if not isinstance(phases, dict) or not phases:
        raise BuildspecError("phases is required in the buildspec")
    if wrong := [name for name in phases if name not in PHASES.values()]:
        raise BuildspecError(f"unknown phase {wrong[0]}")
    variables = (spec.get("env") or {}).get("variables") or {}
    return Buildspec(
        {str(name): str(value) for name, value in variables.items()},
        {kind: _phase(phases.get(name) or {}) for kind, name in PHASES.items()},
    )


def _phase(phase: Mapping[str, Any]) -> PhaseCommands:
    return PhaseCommands(*(_commands(phase.get(key) or []) for key in ("commands", "finally")))


def _commands(listed: Any) -> tuple[str, ...]:
    commands = [listed] if isinstance(listed, str) else list(listed)
    for index, command in enumerate(commands):
        if isinstance(command, dict | list):
            # aws-solutions-library-samples/guidance-for-claude-code-with-amazon-bedrock#518
            raise BuildspecError(f"Expected Commands[{index}] to be of string type: found subkeys instead")
    return tuple(str(command) for command in commands)
