"""The Airflow plugin: the page "Endpoints", the tab "Deployment" of task instances, and the message for notifiers.

Every task process imports this module, so what only the API server needs is imported when it asks.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin

#: The path of the static files below the API server.
PREFIX = "/sm-hosting"


class HostingPlugin(AirflowPlugin):
    """Page "Endpoints" and tab "Deployment": static files; their data come from Airflow's REST API with the user's rights."""

    name = "sm_hosting"

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Return the app that serves the static files."""
        from airflow_sm_hosting.ui.web import app

        return [{"name": self.name, "app": app, "url_prefix": PREFIX}]

    @property
    def macros(self) -> list[Any]:  # type: ignore[override]
        """Return what templates of notifiers call as ``macros.sm_hosting.<name>``."""
        from airflow_sm_hosting.notifications import deployment_message

        return [deployment_message]

    @property
    def react_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """Return the page and the tab."""
        common = {
            "bundle_url": _static_url("ui.js"),
            "icon": _static_url("icon.svg"),
            "icon_dark_mode": _static_url("icon-dark.svg"),
        }
        return [
            {
                "name": "Endpoints",
                "url_route": "sm-endpoints",
                "destination": "nav",
                "nav_top_level": True,  # Airflow 3.3
                **common,
            },
            {
                "name": "Deployment",
                "url_route": "sm-deployment",
                "destination": "task_instance",
                **common,
            },
        ]


def _static_url(name: str) -> str:
    """Return the path of a static file: right behind a proxy, and new with each version, as browsers cache modules."""
    from urllib.parse import urlsplit

    from airflow.configuration import conf

    from airflow_sm_hosting import __version__

    base = urlsplit(conf.get("api", "base_url", fallback="") or "/").path.rstrip("/")
    return f"{base}{PREFIX}/static/{name}?v={__version__}"
