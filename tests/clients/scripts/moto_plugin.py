"""A pytest plugin for the tests of moto: the server is empty before each, and their ends are written into a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import requests

ended: dict[str, dict[str, str]] = {}


def pytest_runtest_setup(item):
    """Empty the server; moto's own way sends no access key, which this server asks for."""
    address = f"{os.environ['TEST_SERVER_MODE_ENDPOINT']}/_sm_hosting/reset"
    requests.post(address, headers={"X-Access-Key": os.environ["ACCESS_KEY"]}, timeout=60).raise_for_status()


def pytest_runtest_logreport(report):
    """Keep how a test ended, and at what it failed."""
    if report.when == "call" or not report.passed:
        why = report.longrepr.reprcrash.message.splitlines()[0] if report.failed else ""
        ended[report.nodeid] = {"outcome": report.outcome, "why": why}


def pytest_sessionfinish(session):
    """Write the file."""
    Path(os.environ["OUTCOMES"]).write_text(json.dumps(ended))
