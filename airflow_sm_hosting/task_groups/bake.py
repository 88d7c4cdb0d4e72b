"""The pause between two waves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.sensors.time_delta import WaitSensor

if TYPE_CHECKING:
    from airflow.sdk import Context


class Bake(WaitSensor):
    """Wait for a while after the deployment of a wave.

    The trigger ends the task by itself, but not in ``dag.test()``, which resumes it (Airflow 3.3.2, airflow/sdk/definitions/dag.py,
    ``_run_task``), and Airflow's own sensor has no method for that.
    """

    def execute_complete(self, context: Context, event: Any = None) -> None:
        """Succeed."""
