"""An engine whose containers crash as soon as they are started, where a fault says so."""

from __future__ import annotations

from airflow_sm_hosting.local.engines.engine import ContainerPlan, Engine, RunningContainer
from airflow_sm_hosting.local.server.faults import Faults


class CrashingEngine(Engine):
    """Runs containers with another engine, and kills those that a fault is about.

    :param engine: The engine.
    :param faults: What goes wrong.
    """

    def __init__(self, engine: Engine, faults: Faults) -> None:
        self.name = engine.name
        self._engine = engine
        self._faults = faults

    def start(self, plan: ContainerPlan) -> RunningContainer:
        """Start a container."""
        running = self._engine.start(plan)
        # <endpoint>/<variant>/<container>
        endpoint, variant, container = plan.name.split("/", 2)
        if self._faults.crashes(endpoint, variant, container):
            running.kill()
        return running

    def close(self) -> None:
        """Free what the engine holds."""
        self._engine.close()
