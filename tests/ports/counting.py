"""Lines of code: lines that are not empty and not a comment. Docstrings are comments; so are magic commands of notebooks.

The originals and the ports are counted alike.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection

_BLOCK_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_COMMENT = re.compile(r"\s*(#|//|%)")


def lines_of_code(text: str, *, without: Collection[str] = (), only: Collection[str] = ()) -> int:
    """Count the lines of a Python file.

    :param without: Functions and classes that are not counted.
    :param only: Functions and classes, if only these are counted.
    """
    counted: set[int] = set()
    lines = text.splitlines()
    tree = ast.parse(text)
    for node in tree.body:
        name = getattr(node, "name", None)
        if name not in without and (not only or name in only):
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
            counted.update(range(first, (node.end_lineno or first) + 1))
    for inner in ast.walk(tree):
        if not isinstance(inner, ast.Expr) or not isinstance(inner.value, ast.Constant):
            continue
        if isinstance(inner.value.value, str):
            counted.difference_update(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
    return sum(1 for number in counted if _is_code(lines[number - 1]))


def lines_of_text(text: str) -> int:
    """Count the lines of a file whose comments begin with ``#`` or ``//``, or are ``/* … */``."""
    return sum(map(_is_code, _BLOCK_COMMENT.sub("", text).splitlines()))


def lines_of_notebook(text: str, cells: Collection[int]) -> int:
    """Count the lines of cells of a notebook, which are numbered from 0."""
    notebook = json.loads(text)["cells"]
    return sum(lines_of_text("".join(notebook[number]["source"])) for number in cells)


def _is_code(line: str) -> bool:
    return bool(line.strip()) and not _COMMENT.match(line)
