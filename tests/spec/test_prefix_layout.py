"""Which objects below a prefix can be files."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.spec.prefix_layout import layout_problem


@pytest.mark.parametrize(
    "keys",
    [
        ["llm/config.json", "llm/weights/1", "llm/weights/2"],
        ["llm/a", "llm/a.b", "llm/a-b/c"],
        ["llm/" + "n" * 255],
        ["llm/größe", "llm/..a", "llm/a..", "llm/.a"],
    ],
)
def test_files_in_folders_are_fine(keys: list[str]) -> None:
    assert layout_problem("llm/", keys) == ""
    assert layout_problem("", [key.removeprefix("llm/") for key in keys]) == ""


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["llm/", "llm/config.json"], "'llm/' ends with a slash"),
        (["llm/config.json", "llm/empty/"], "'llm/empty/' ends with a slash"),
        (["llm/a/b/", "llm/a/b/c"], "'llm/a/b/' ends with a slash"),
        (["llm/a", "llm/a/b"], "'llm/a' would be a file and, because of 'llm/a/b', a folder"),
        (["llm/a/b", "llm/a/b/c/d"], "'llm/a/b' would be a file"),
        (["llm//a"], "'llm//a' is no path"),
        (["llm/a//b"], "is no path"),
        (["llm/../a"], "is no path"),
        (["llm/./a"], "is no path"),
        (["llm/" + "n" * 256], "a name of 256 bytes"),
        (["llm/" + "ö" * 128 + "/a"], "a name of 256 bytes"),
    ],
)
def test_what_cannot_be_a_file_is_named(keys: list[str], words: str) -> None:
    assert words in layout_problem("llm/", keys)
    assert words in layout_problem("llm/", reversed(keys))


@given(st.lists(st.text("ab/.", min_size=1, max_size=6)))
def test_what_is_fine_can_be_written(keys: list[str]) -> None:
    """By the rules of a file system: a path has names only, and no file is a folder."""
    files = [tuple(key.split("/")) for key in {*keys}]
    fits = all(
        set(path).isdisjoint({"", ".", ".."})
        and not any(other[: len(path)] == path and other != path for other in files)
        for path in files
    )
    assert (layout_problem("p/", [f"p/{key}" for key in keys]) == "") is fits
