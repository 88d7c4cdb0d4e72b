"""No engine: endpoints come into service at once and cannot be invoked. For tests of the control plane."""

from __future__ import annotations

from airflow_sm_hosting.local.engines.engine import (
    STOP_GRACE_SECONDS,
    ContainerSpec,
    Engine,
    RunningContainer,
)


class NoContainer(RunningContainer):
    """A container that is only said to run."""

    url = None

    def __init__(self, resolved_image: str) -> None:
        self.resolved_image = resolved_image
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """Return None: it never ends by itself."""
        return self._exit_code

    def kill(self) -> None:
        """Say that it was killed."""
        self._exit_code = 137

    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """Do nothing."""


class NoEngine(Engine):
    """Says of every container that it runs."""

    name = "none"

    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Return a container that is only said to run."""
        if spec.stored:
            return NoContainer(
                f"{spec.image.partition('@')[0].partition('/')[0]}/{spec.stored.repository}@{spec.stored.digest}"
            )
        return NoContainer(spec.image)
