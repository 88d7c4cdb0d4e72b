"""The plugin: what it costs each process, what it serves, and to whom."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
from fastapi.testclient import TestClient

from airflow_sm_hosting import __version__
from airflow_sm_hosting.ui.plugin import PREFIX, HostingPlugin

STATIC = Path(__file__).parent.parent.parent / "airflow_sm_hosting/ui/static"
SCRIPT = (STATIC / "ui.js").read_text(encoding="utf-8")


@pytest.fixture
def client() -> TestClient:
    (app,) = HostingPlugin().fastapi_apps
    return TestClient(app["app"])


def test_a_task_process_that_imports_the_plugin_pays_for_four_modules() -> None:
    """Airflow imports every plugin and its macros in every task process."""
    script = """
import json, sys
import airflow.plugins_manager
before = set(sys.modules)
from airflow_sm_hosting.ui.plugin import HostingPlugin
HostingPlugin().macros
print("ADDED" + json.dumps(sorted(set(sys.modules) - before)))
"""
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("ADDED")]
    added = json.loads(line.removeprefix("ADDED"))
    ours = {"airflow_sm_hosting.ui", "airflow_sm_hosting.ui.plugin", "airflow_sm_hosting.notifications"}
    assert set(added) - {"airflow_sm_hosting"} == ours


def test_airflow_accepts_the_page_and_the_tab() -> None:
    plugin = HostingPlugin()
    apps = plugin.react_apps
    assert [(app["name"], app["destination"]) for app in apps] == [
        ("Endpoints", "nav"),
        ("Deployment", "task_instance"),
    ]
    members = {name: getattr(plugin, name) for name in PluginResponse.model_fields if hasattr(plugin, name)}
    # Airflow shows the name of a macro.
    members["macros"] = [macro.__name__ for macro in plugin.macros]
    shown = PluginResponse.model_validate({**members, "fastapi_apps": [], "source": "", "listeners": []})
    assert shown.macros == ["deployment_message"]
    assert {app.url_route for app in shown.react_apps} == {"sm-endpoints", "sm-deployment"}


def test_addresses_of_static_files_are_those_of_the_version_and_below_the_base_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/team/airflow/")
    for app in HostingPlugin().react_apps:
        assert app["bundle_url"] == f"/team/airflow{PREFIX}/static/ui.js?v={__version__}"


def test_the_module_is_served_as_javascript(client: TestClient) -> None:
    answer = client.get("/static/ui.js")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    for icon in ("icon.svg", "icon-dark.svg"):
        assert client.get(f"/static/{icon}").headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/docs",
        "/redoc",
        "/openapi.json",
        "/static",
        "/static/",
        "/static/../web.py",
        "/static/%2e%2e/web.py",
    ],
)
def test_nothing_but_static_files_is_open(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_nothing_can_be_changed_through_the_app(client: TestClient) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert client.request(method, "/static/ui.js").status_code == 405


def test_the_module_only_reads_and_writes_no_markup() -> None:
    assert not re.findall(r"\bmethod\s*:", SCRIPT)  # of fetch: the default is GET
    for way in (
        "dangerouslySetInnerHTML", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "srcdoc"
    ):  # fmt: skip
        assert way not in SCRIPT


def test_the_module_asks_no_other_server() -> None:
    addresses = set(re.findall(r"https?://[^'\"`\s)]+", SCRIPT))
    assert {address.split("/")[2] for address in addresses} == {"github.com"}
    assert SCRIPT.count("fetch(") == 1


def test_the_module_sets_the_names_of_the_apps() -> None:
    """Before Airflow 3.3.2, an app whose name a module does not set shows another plugin's component."""
    names = ", ".join(app["name"] for app in HostingPlugin().react_apps)
    assert f"Object.assign(globalThis, {{ {names} }})" in SCRIPT


def test_the_module_names_the_operators_that_record() -> None:
    import airflow_sm_hosting
    from airflow_sm_hosting.operators.recorded import RecordedTask

    recording = {
        name
        for name in airflow_sm_hosting.__all__
        if isinstance(found := getattr(airflow_sm_hosting, name), type) and issubclass(found, RecordedTask)
        if found.leaves_record
    }
    block = re.search(r"const OPERATORS = \[(.*?)\]", SCRIPT, re.DOTALL)
    assert block
    assert set(re.findall(r"'(\w+)'", block[1])) == recording
