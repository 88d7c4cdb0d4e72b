"""The navigation of the site: which pages it has, in which order. GitHub shows the pages without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

NAVIGATION = {
    "Start": ["tutorial", "deploy-from-the-ui", "endpoints-page", "events", "cli"],
    "How to": [
        "roll-back-at-night",
        "scaling",
        "model-registry",
        "regions-and-accounts",
        "check-container",
        "testing",
        "local-aws",
        "secrets",
        "permissions",
        "where-tasks-run",
        "from-the-amazon-provider",
        "migration",
        "troubleshooting",
    ],
    "Reference": [
        "reference/index",
        "members",
        "names",
        "local-aws-rules",
        "cdk-parity",
        "ports",
        "compatibility",
        "glossary",
    ],
    "Explanation": ["truth", "architecture", "decisions/*", "moto-suite"],
}


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("source-read", add_navigation)
    return {"parallel_read_safe": True}


def add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    """Append the navigation to the first page."""
    if name == "index":
        source[0] += "".join(
            "\n\n```{toctree}\n:hidden:\n:glob:\n:caption: " + caption + "\n\n" + "\n".join(pages) + "\n```\n"
            for caption, pages in NAVIGATION.items()
        )
