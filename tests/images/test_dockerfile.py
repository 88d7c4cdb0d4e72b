from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.dockerfile import Instruction, parse_dockerfile

VARIABLES = {"NAME": "value", "EMPTY": "", "SPACED": "a b"}


def _only(text: str) -> Instruction:
    (instruction,) = parse_dockerfile(text)
    return instruction


def test_comments_continuations_and_flags() -> None:
    text = (
        "# syntax=docker/dockerfile:1\n\nFROM base AS x\n"
        'copy --chown=1:2 --chmod=755 a \\\n  # a comment\n\n  b \\\n  /c/\n  # end\nCMD ["a", "b c"]\n'
    )
    parsed = [(i.name, dict(i.flags), i.arguments.split(), i.line) for i in parse_dockerfile(text)]
    assert parsed == [
        ("FROM", {}, ["base", "AS", "x"], 3),
        ("COPY", {"chown": "1:2", "chmod": "755"}, ["a", "b", "/c/"], 4),
        ("CMD", {}, ['["a",', '"b', 'c"]'], 10),
    ]


def test_the_escape_directive() -> None:
    (instruction,) = parse_dockerfile("# escape=`\nCOPY a `\n C:\\b\n")
    assert instruction.words({}) == ["a", "C:\\b"]
    with pytest.raises(ImageBuildError, match="escape"):
        parse_dockerfile("# escape=x\nFROM a")


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("$NAME", "value"),
        ("${NAME}", "value"),
        ("${NAME}s/$NAME.", "values/value."),
        ("$NOTHING", ""),
        ("${NOTHING:-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${NOTHING-x}", "x"),
        ("${NAME:+yes}", "yes"),
        ("${NOTHING:+yes}", ""),
        ("${NOTHING:-${NAME}}", "value"),
        ("'$NAME'", "$NAME"),
        ('"$NAME"', "value"),
        (r"\$NAME", "$NAME"),
        (r'"\$NAME \n"', r"$NAME \n"),
        ('"it\'s"', "it's"),
        ("a$", "a$"),
        ("$SPACED", "a b"),
    ],
)
def test_variables_and_quotes(word: str, expanded: str) -> None:
    assert _only(f"COPY {word} b").expand(word, VARIABLES) == expanded


@pytest.mark.parametrize(
    "word", ["${NAME", "${NAME#x}", "${}", "${NOTHING:?must}", "${NAME:-", "'open", '"open']
)
def test_a_word_that_cannot_be_read_is_refused_with_its_line(word: str) -> None:
    instruction = parse_dockerfile(f"FROM a\nENV A={word}", file="/w/Dockerfile")[1]
    with pytest.raises(ImageBuildError, match="/w/Dockerfile, line 2: ENV A="):
        instruction.pairs(VARIABLES)


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("ENV A=1 B='x y' C=\"$NAME z\" D=a\\ b", {"A": "1", "B": "x y", "C": "value z", "D": "a b"}),
        ("ENV A some text", {"A": "some text"}),
        ("ENV A=b=c", {"A": "b=c"}),
        ("ENV NAME=new OTHER=$NAME", {"NAME": "new", "OTHER": "value"}),
        ('LABEL "com.example.a"="b"', {"com.example.a": "b"}),
    ],
)
def test_pairs(text: str, pairs: dict[str, str]) -> None:
    assert _only(text).pairs(VARIABLES) == pairs


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ('CMD ["python", "-m", "x"]', ["python", "-m", "x"]),
        ("CMD python -m x && $y", ["/bin/sh", "-c", "python -m x && $y"]),
        ("CMD ['single']", ["/bin/sh", "-c", "['single']"]),
        ("CMD [1]", ["/bin/sh", "-c", "[1]"]),
        ("CMD []", []),
    ],
)
def test_exec_and_shell_form(text: str, command: list[str]) -> None:
    assert _only(text).command() == command


def test_what_is_no_instruction_is_refused() -> None:
    with pytest.raises(ImageBuildError, match="Dockerfile, line 2: FR0M x\nThis is not an instruction"):
        parse_dockerfile("FROM a\nfr0m x")
    with pytest.raises(ImageBuildError, match="contains no instruction"):
        parse_dockerfile("# nothing\n")


@given(value=st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20))
def test_a_single_quoted_value_stays_as_it_is(value: str) -> None:
    if "'" not in value and not value.endswith("\\"):
        assert _only(f"ENV A='{value}'").pairs({}) == {"A": value}
