"""Links that are right on GitHub and on the site: to files beside ``docs/``, and to the sections of ``operators.md``."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any

from site_extensions.reference_pages import GUIDE, page_of, sections

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SOURCE = "https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/"
#: The target of a Markdown link or image.
_LINK = re.compile(r"(?<=\]\()[^)\s]+(?=\))")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", rewrite)
    app.connect("autodoc-process-docstring", without_external_roles)
    return {"parallel_read_safe": True}


def rewrite(app: Sphinx, name: str, source: list[str]) -> None:
    """Rewrite the links of a page."""
    pages = anchors(GUIDE.read_text())
    source[0] = _LINK.sub(lambda found: site_target(found[0], name, pages), source[0])


def anchors(guide: str) -> dict[str, str]:
    """Return the page and anchor on the site of each heading of the guide, by its anchor on GitHub."""
    found = {}
    for section in sections(guide):
        page = "index.md" if section.title == "Common behaviour" else f"{page_of(section.title)}.md"
        found[anchor_of(section.title)] = page
        for heading in re.findall(r"(?m)^###+ (.+)$", section.text):
            found[anchor_of(heading)] = f"{page}#{anchor_of(heading)}"
    return found


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def site_target(target: str, name: str, pages: dict[str, str]) -> str:
    """Return where a link of the repository leads on the site.

    :param target: The target, as it is right on GitHub.
    :param name: The name of the page on the site, without ending.
    :param pages: The place on the site of each anchor of the guide.
    """
    if re.match(r"[a-z]+:", target):
        return target
    path, _, anchor = target.partition("#")
    # The pages of the reference are cut out of the guide.
    written_in = "docs/operators.md" if name.startswith("reference/") else f"docs/{name}.md"
    meant = posixpath.normpath(posixpath.join(posixpath.dirname(written_in), path)) if path else written_in
    if meant == "docs/operators.md":
        meant, anchor = f"docs/reference/{pages.get(anchor, 'index.md')}", ""
    if not meant.startswith("docs/"):
        return SOURCE + meant + (f"#{anchor}" if anchor else "")
    here = posixpath.dirname(f"docs/{name}")
    return posixpath.relpath(meant, here) + (f"#{anchor}" if anchor else "")


def without_external_roles(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Show a class of boto3 by its name: the roles of Airflow's own documentation need the network."""
    lines[:] = re.sub(r":external\+[\w:]+:`~?([^`]+)`", r"``\1``", "\n".join(lines)).split("\n")
