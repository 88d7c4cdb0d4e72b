"""Writes ``docs/ports.md`` from the originals and the ports: ``python -m tests.ports.page``."""

from __future__ import annotations

from pathlib import Path

from tests.ports.counting import lines_of_code
from tests.ports.originals import ORIGINALS, Original

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "ports.md"

_HEAD = """# Public deployments, ported

Twelve deployments that others have published, of twelve kinds, as DAGs with the operators of this package. None of them has boto3, an SDK or
a hook beside. The ports are in our own words and have names of their own; nothing of the originals is copied.

Lines are those of code: without empty lines, comments and docstrings, counted alike on both sides, imports included. Of an original only the
parts that deploy are counted, which each section lists: no clean-up, waiting by hand or pipeline around it. `python -m tests.ports.originals
FOLDER` counts the originals again in checkouts. The sum says as much about the package as about what the originals are written in: a notebook
has more lines than it needs, Terraform fewer.

`tests/ports/test_ports.py` runs each port with Airflow on [the local AWS](local-aws.md), with [stand-ins](local-aws.md) of AWS's images, and
compares what is then there to what the original asks for: members of the endpoint configs, scalable targets, policies, alarms, answers. A
second run of each port but the shadow test, which has promoted its shadow, changes nothing. `python -m tests.ports.page` writes this page.

What the local AWS does not show: keys of KMS, subnets and topics are only names there. It has one account, so the second account of the
multi-account port is a second local AWS, which has only what the port brings there; that the policies of one account let the other one read is not
shown.
"""

_BESIDE_ALL = """
Each port waits until what was asked for serves, and fails with SageMaker's reason if it does not; can be run again,
and joins what a killed run began; updates in place, with names that follow from the content; and is checked while the DAG file is parsed.
"""


def page() -> str:
    """Return the page."""
    rows = [
        "| kind | original | lines theirs | lines ours | ours beside: verified, can be run again, and |",
        "|---|---|---|---|---|",
    ]
    theirs = ours = 0
    for port, original in ORIGINALS.items():
        mine = lines_of_code(_source(port))
        theirs, ours = theirs + original.lines, ours + mine
        link = f"[{original.repository}]({original.url}), {original.written}"
        rows.append(
            f"| [{original.kind}](#{_anchor(original.kind)}) | {link} | {original.lines} | {mine} | {original.in_short} |"
        )
    rows.append(f"| all | | {theirs} | {ours} | |")
    sections = [_section(port, original) for port, original in ORIGINALS.items()]
    return "\n".join([_HEAD, *rows, _BESIDE_ALL, *sections])


def _section(port: str, original: Original) -> str:
    files = "; ".join(
        f"`{path}`" + (f", {_part}" if (_part := _counted(original, path)) else "") for path in original.parts
    )
    return f"""## {original.kind}

[{original.repository}]({original.url}), commit `{original.commit[:7]}`; licence: {original.licence}. Counted: {files}.

* **It does.** {original.does}
* **The port does beside.** {original.beside}
* **Not ported.** {original.not_ported}

`tests/ports/{port}.py`:

```python
{_source(port).strip()}
```
"""


def _counted(original: Original, path: str) -> str:
    part = original.parts[path]
    if part.cells:
        return "cells " + ", ".join(map(str, part.cells))
    if part.only:
        return "only " + ", ".join(f"`{name}`" for name in part.only)
    return "without " + ", ".join(f"`{name}`" for name in part.without) if part.without else ""


def _source(port: str) -> str:
    return (HERE / f"{port}.py").read_text()


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


if __name__ == "__main__":
    PAGE.write_text(page())
