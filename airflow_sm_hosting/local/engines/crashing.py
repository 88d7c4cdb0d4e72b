"""An engine that kills containers as soon as they are started, where a fault says so."""

from __future__ import annotations

from typing import Protocol

from airflow_sm_hosting.local.engines.engine import BuildContainer, ContainerSpec, Engine, RunningContainer


class Crashes(Protocol):
    """Says which containers crash: :class:`airflow_sm_hosting.local.server.faults.Faults`."""

    def crashes(self, endpoint: str, variant: str, container: str) -> bool:
        """Return whether a container ends as soon as it is started."""


class CrashingEngine(Engine):
    """Runs containers with another engine, and kills those that a fault names.

    :param engine: The engine.
    :param faults: Says which containers crash.
    """

    def __init__(self, engine: Engine, faults: Crashes) -> None:
        self.name = engine.name
        self._engine = engine
        self._faults = faults

    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Start a container."""
        running = self._engine.start(spec)
        # <endpoint>/<variant>/<container>
        endpoint, variant, container = spec.name.split("/", 2)
        if self._faults.crashes(endpoint, variant, container):
            running.kill()
        return running

    def start_build(self, name: str, *, privileged: bool) -> BuildContainer:
        """Start a container for a build; no fault kills it."""
        return self._engine.start_build(name, privileged=privileged)

    def close(self) -> None:
        """Free what the engine holds."""
        self._engine.close()
