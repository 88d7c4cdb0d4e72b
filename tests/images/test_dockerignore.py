from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.images.dockerignore import Dockerignore


@pytest.mark.parametrize(
    ("patterns", "excluded", "kept"),
    [
        (["node"], ["node", "node/a", "node/a/b"], ["a/node", "nodes", "anode"]),
        (["/node/"], ["node", "node/a"], ["a/node"]),
        (["*.pyc"], ["a.pyc", ".pyc"], ["a/b.pyc", "a.py"]),
        (["*/temp*"], ["a/temp", "a/temporary.txt", "a/temp/x"], ["temp", "a/b/temp"]),
        (["*/*/temp*"], ["a/b/temp.txt"], ["a/temp"]),
        (["temp?"], ["tempa", "tempb"], ["temp", "tempab"]),
        (["**/*.pyc"], ["a.pyc", "a/b.pyc", "a/b/c.pyc"], ["a.py"]),
        (["**/cache"], ["cache", "a/cache", "a/b/cache/x"], ["acache", "a/cached"]),
        (["a/**"], ["a/b", "a/b/c"], ["a", "ab"]),
        (["a/**/z"], ["a/z", "a/b/z", "a/b/c/z"], ["a/bz", "z"]),
        (["*.md", "!README.md"], ["a.md"], ["README.md"]),
        (["*.md", "!README*.md", "README-secret.md"], ["README-secret.md", "a.md"], ["README.md"]),
        (["data", "!data/keep"], ["data/x", "data"], ["data/keep", "data/keep/deeper"]),
        (["*", "!app"], ["x", "y/z"], ["app", "app/main.py"]),
        (["*", "!**/*.py"], ["x", "a/x"], ["x.py", "a/b/x.py"]),
        (["# comment", "", "  ", "."], [], ["a", "# comment"]),
        ([r"\#hash"], ["#hash"], ["hash"]),
        (["  spaced.txt  "], ["spaced.txt"], ["  spaced.txt"]),
        (["a/../b", "./c//d"], ["b", "c/d"], ["a", "c"]),
        (["[a-c].txt", "[^x]y"], ["a.txt", "zy"], ["d.txt", "xy", "/y"]),
        ([r"a\*b"], ["a*b"], ["axb"]),
        (["a.b", "a+b", "(c)"], ["a.b", "a+b", "(c)"], ["aXb", "aab", "c"]),
        (["\ufeffbom"], ["bom"], []),
    ],
)
def test_dockers_patterns(patterns: list[str], excluded: list[str], kept: list[str]) -> None:
    ignore = Dockerignore(patterns)
    assert [path for path in excluded if not ignore.excludes(path)] == []
    assert [path for path in kept if ignore.excludes(path)] == []


@pytest.mark.parametrize("pattern", ["[a", "a[]", "[z-a]", "a\\"])
def test_a_pattern_that_docker_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"\.dockerignore"):
        Dockerignore([pattern])


names = st.sampled_from(["a", "b", "ab", "a.b", ".a"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(path=paths, other=paths)
def test_a_plain_name_excludes_itself_and_what_is_below(path: str, other: str) -> None:
    assert Dockerignore([path]).excludes(other) == (other == path or other.startswith(f"{path}/"))
    assert not Dockerignore([path, f"!{path}"]).excludes(other)
