"""The documentation site: it is made without a warning, its links resolve, and it loads nothing from elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import airflow_sm_hosting

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.slow


class Page(HTMLParser):
    """The links, loaded files and anchors of a page.

    :param text: Its HTML.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.anchors.add(str(found["id"]))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload"):
            self.loaded.append(str(found["href"]))
        elif tag in ("img", "script", "iframe") and found.get("src"):
            self.loaded.append(str(found["src"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    out = tmp_path_factory.mktemp("site")
    made = subprocess.run(
        [
            sys.executable,
            "-m",
            "sphinx",
            "-W",
            "--keep-going",
            "-q",
            "-d",
            str(out / "doctrees"),
            "docs",
            str(out / "html"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return {path: Page(path.read_text()) for path in (out / "html").rglob("*.html")}


def broken(site: dict[Path, Page]) -> Iterator[Any]:
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists() or (
                parts.fragment and target in site and unquote(parts.fragment) not in site[target].anchors
            ):
                yield path.name, link


def test_each_link_leads_to_a_page_and_an_anchor(site: dict[Path, Page]) -> None:
    assert sum(len(page.links) for page in site.values()) > 1000
    assert list(broken(site)) == []


def test_links_to_files_of_the_repository_lead_to_files(site: dict[Path, Page]) -> None:
    start = "https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/"
    found = {
        urlsplit(link[len(start) :]).path
        for page in site.values()
        for link in page.links
        if link.startswith(start)
    }
    assert {"dags/retrain_and_deploy.py", "CHANGELOG.md"} <= found
    assert [path for path in sorted(found) if not (ROOT / path).exists()] == []


def test_no_page_loads_anything_from_elsewhere(site: dict[Path, Page]) -> None:
    loaded = [one for page in site.values() for one in page.loaded]
    assert loaded
    assert [one for one in loaded if urlsplit(one).netloc] == []


def test_each_public_name_has_a_page_that_the_index_lists(site: dict[Path, Page]) -> None:
    pages = {path.stem: page for path, page in site.items() if path.parent.name == "reference"}
    names = {name for name in airflow_sm_hosting.__all__ if not name.startswith("_")}
    assert names <= set(pages)
    assert names <= {Path(urlsplit(link).path).stem for link in pages["index"].links}
