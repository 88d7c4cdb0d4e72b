"""An auth manager for tests: Airflow's simple one, which has no role that reads nothing, with two users who read less than its viewers."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

#: May use the UI, and read neither DAGs nor assets.
READS_NOTHING = "nora"
#: Reads assets, and only the DAG ``shift``.
READS_ONE_DAG, ONE_DAG = "otto", "shift"


class LimitedAuthManager(SimpleAuthManager):
    """Airflow's simple auth manager, which refuses these two users what they may not do."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        """Refuse DAGs, and what belongs to them."""
        if user.username == READS_NOTHING:
            return False
        if user.username == READS_ONE_DAG and details is not None and details.id not in (None, "~", ONE_DAG):
            return False
        return super().is_authorized_dag(
            method=method, user=user, access_entity=access_entity, details=details
        )

    def is_authorized_asset(self, *, method: Any, user: Any, details: Any = None) -> bool:
        """Refuse assets and their events."""
        if user.username == READS_NOTHING:
            return False
        return super().is_authorized_asset(method=method, user=user, details=details)
