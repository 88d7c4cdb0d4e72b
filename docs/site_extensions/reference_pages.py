"""Write the pages of the reference: one a public name, from its docstring, its section of ``operators.md`` and its IAM actions.

They are written before Sphinx reads its sources, into ``docs/reference/``, and are not kept in the repository.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import airflow_sm_hosting
from airflow_sm_hosting.policies.permissions import PERMISSIONS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

DOCS = Path(__file__).parent.parent
PAGES = DOCS / "reference"
GUIDE = DOCS / "operators.md"

#: The groups of pages, with the modules of their names.
GROUPS = {
    "Tasks": ("operators.", "sensors.", "task_groups"),
    "Spec objects": ("spec.",),
    "Triggers": ("triggers.",),
    "Others": ("",),
}
#: Public modules without a section in the guide.
MODULES = {
    "hooks": "Hooks",
    "exceptions": "Exceptions",
    "testing": "Testing",
    "local": "The local AWS",
    "policies": "Policies",
}


class Section(NamedTuple):
    """A section of the guide.

    :param title: Its heading.
    :param text: What stands below it.
    """

    title: str
    text: str


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True}


def write_pages(app: Sphinx) -> None:
    """Write the pages that have changed, and remove those of names that are gone."""
    pages = dict(_pages())
    PAGES.mkdir(exist_ok=True)
    for path in PAGES.glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = PAGES / f"{name}.md"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def sections(guide: str) -> Iterator[Section]:
    """Yield the sections of the guide; code blocks have no headings."""
    for part in re.split(r"(?m)^## (?=[A-Za-z_])", guide)[1:]:
        title, _, text = part.partition("\n")
        yield Section(title.strip(), text.strip())


def page_of(title: str) -> str:
    """Return the page of a section: the last word of its title names what it is about."""
    return title.split()[-1]


def _pages() -> Iterator[tuple[str, str]]:
    guide = GUIDE.read_text()
    found = {page_of(section.title): section for section in sections(guide) if " " not in section.title}
    metric = next(one for one in sections(guide) if page_of(one.title) == "get_metric")
    found["get_metric"] = metric
    common = next(one for one in sections(guide) if one.title == "Common behaviour")
    groups: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name in airflow_sm_hosting.__all__:
        if name.startswith("_"):
            continue
        value = getattr(airflow_sm_hosting, name)
        module = getattr(value, "__module__", "").removeprefix("airflow_sm_hosting.")
        group = next(one for one, starts in GROUPS.items() if module.startswith(starts))
        groups[group].append(name)
        yield name, _page(name, value, found.get(name))
    for module, title in MODULES.items():
        yield module, _module_page(module, title)
    yield "index", _index(common, groups)


def _page(name: str, value: Any, section: Section | None) -> str:
    """Return the page of a public name."""
    parts = [f"# {name}"]
    if section:
        parts.append(_raised(section.text))
        parts.append("## Parameters")
    directive = "autoclass" if inspect.isclass(value) else "autofunction"
    parts.append(
        f"```{{eval-rst}}\n.. {directive}:: {value.__module__}.{value.__qualname__}\n   :members:\n```"
        if directive == "autoclass" and not section
        else f"```{{eval-rst}}\n.. {directive}:: {value.__module__}.{value.__qualname__}\n```"
    )
    if name in PERMISSIONS:
        parts += ["## IAM actions", _permissions(name)]
    return "\n\n".join(parts) + "\n"


def _module_page(module: str, title: str) -> str:
    """Return the page of a public module."""
    import importlib

    public = importlib.import_module(f"airflow_sm_hosting.{module}")
    names = [one for one in getattr(public, "__all__", ()) if not one.startswith("_")]
    lines = [f".. automodule:: airflow_sm_hosting.{module}"]
    if not names:
        lines += ["   :members:"]
    for name in names:
        value = getattr(public, name)
        if inspect.isclass(value):
            lines += ["", f".. autoclass:: {value.__module__}.{value.__qualname__}", "   :members:"]
        elif callable(value):
            lines += ["", f".. autofunction:: {value.__module__}.{value.__qualname__}"]
        else:
            lines += [
                "",
                f".. py:data:: airflow_sm_hosting.{module}.{name}",
                f"   :type: {type(value).__name__}",
            ]
    body = "\n".join(lines)
    return f"# {title}: `airflow_sm_hosting.{module}`\n\n```{{eval-rst}}\n{body}\n```\n"


def _permissions(name: str) -> str:
    rows = [
        f"| {', '.join(f'`{action}`' for action in one.actions)} | {one.on} | {one.when}{' (optional)' if one.optional else ''} |"
        for one in PERMISSIONS[name]
    ]
    if not rows:
        return "None: it does not call AWS."
    return "\n".join(["| IAM action | on | when |", "|---|---|---|", *rows])


def _raised(text: str) -> str:
    """Return a section whose headings are those of a page of its own."""
    return re.sub(r"(?m)^###(?=#* )", "##", text)


def _index(common: Section, groups: dict[str, list[str]]) -> str:
    parts = ["# Reference", "One page a class or function. What holds for all tasks:", _raised(common.text)]
    for group, names in groups.items():
        if names:
            listed = "\n".join(sorted(names))
            parts.append(f"## {group}\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```")
    listed = "\n".join(MODULES)
    parts.append(f"## Modules\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```")
    return "\n\n".join(parts) + "\n"
