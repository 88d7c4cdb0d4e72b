"""The whole story in Chromium, under Airflow's own scheduler, API server and triggerer."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.browser import chromium, opened
from tests.ui.story import stage, tell

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(900)]


def assert_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe").Axe()
    assert axe.run(page, context=".smh").generate_report().startswith("Found 0 accessibility violations")


def test_a_person_deploys_approves_watches_reads_a_failure_and_rolls_back(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with (
        chromium() as browser,
        stage(tmp_path_factory.mktemp("story")) as made,
    ):
        made.airflow.until("Airflow is up", lambda: made.airflow.api("GET", "dags"))
        with opened(browser, base_url=made.airflow.url) as page:
            tell(page, made, assert_accessible)
