"""Secret values are masked in every form in which a container may print them; signatures of presigned URLs in every error."""

from __future__ import annotations

import base64
import csv
import html
import io
import json
import shlex
import string
import textwrap
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.spec.masking import (
    PIECE,
    PLAIN_WORDS,
    SHORTEST_MEMBER,
    SHORTEST_VALUE,
    mask_error,
    masked,
    without_signatures,
)

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANSECRET1\nAoIBAQDSECRET2\n-----END PRIVATE KEY-----"
DIFFICULT = "pa\"ss\\wo'rd é😀\tx&<y> 100%+"


def as_csv(value: str) -> str:
    row = io.StringIO()
    csv.writer(row).writerow(["a", value])
    return row.getvalue()


def as_go_json(value: str) -> str:
    """Go and many web frameworks escape what HTML gives a meaning."""
    return "".join(f"\\u{ord(c):04x}" if c in "<>&'=+" else json.dumps(c)[1:-1] for c in value)


def as_octal(value: str) -> str:
    """bash's $'…' and journald."""
    return "".join(
        chr(octet) if chr(octet) in string.ascii_letters else f"\\{octet:03o}" for octet in value.encode()
    )


def as_base64(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "JSON": json.dumps,
    "JSON with all characters": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON of JavaScript": lambda value: json.dumps(value).replace("/", "\\/"),
    "JSON of Go": as_go_json,
    "JSON in JSON": lambda value: json.dumps(json.dumps({"key": value})),
    "Python": repr,
    "Python's ascii": ascii,
    "Python's bytes": lambda value: repr(value.encode()),
    "Python of JSON": lambda value: repr(json.dumps(value)),
    "JavaScript and Rust": lambda value: "".join(f"\\u{{{ord(c):x}}}" for c in value),
    "Python's long escapes": lambda value: "".join(f"\\U{ord(c):08x}" for c in value),
    "octal": as_octal,
    "a URL": quote,
    "a URL with everything encoded": lambda value: quote(value, safe=""),
    "a form": quote_plus,
    "a URL in a URL": lambda value: quote(quote(value, safe=""), safe=""),
    "JSON in a URL": lambda value: quote(json.dumps({"key": value})),
    "HTML": html.escape,
    "HTML with numbers": lambda value: "".join(f"&#{ord(c)};" for c in value),
    "HTML with hex numbers": lambda value: "".join(f"&#x{ord(c):x};" for c in value),
    "XML": lambda value: html.escape(value).replace("&#x27;", "&apos;"),
    "a shell": shlex.quote,
    "a shell's other way": lambda value: "'" + value.replace("'", "'\\''") + "'",
    "SQL": lambda value: "'" + value.replace("'", "''") + "'",
    "CSV": as_csv,
    "base64": as_base64,
    "base64 without padding": lambda value: as_base64(value).rstrip("="),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "an Authorization header": lambda value: "Basic " + as_base64(f"user:{value}"),
    "base64, one character later": lambda value: as_base64(f"1{value}2"),
    "base64, two characters later": lambda value: as_base64(f"12{value}345"),
    "base64 behind a path": lambda value: f"key/{as_base64(value)}",
    "base64 in lines": lambda value: base64.encodebytes((value * 5).encode()).decode(),
    "JSON in base64": lambda value: as_base64(json.dumps({"key": value})),
    "base64 in JSON in lines": lambda value: json.dumps(base64.encodebytes((value * 5).encode()).decode()),
    "hex": lambda value: value.encode().hex(),
    "hex in capitals, after one digit": lambda value: "f" + value.encode().hex().upper(),
}
#: What a form adds around a value, as in ``{"key": …}`` in JSON in a URL.
LONGEST_FRAME = 40
VALUES = {
    "a difficult one": DIFFICULT,
    "a private key": PEM,
    "a backslash before a letter": "C:\\new\\x41 %41 &amp; s3cr3t",
    "a password": "hunter2-s3cr3t",
    "a token": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345",
    "spaces around": "  s3cr3t value \n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_masked_in_every_form(form: str, value: str) -> None:
    printed = FORMS[form](VALUES[value])
    told = masked(f"begin <{printed}> end", [VALUES[value]])
    assert "***" in told
    assert told.startswith("begin <")
    assert told.endswith("> end")
    assert not set(VALUES[value].split()) & set(told.split())
    # What is left is the form's own, and no piece of the printed value.
    kept = told.replace("begin <", "").replace("> end", "")
    assert kept not in printed or len(kept) < LONGEST_FRAME
    assert len(kept) < LONGEST_FRAME + 2 * printed.count("\n")


@pytest.mark.parametrize("prefix", ["", "2026-01-01 INFO  ", "\t| "])
@pytest.mark.parametrize("printed", [PEM, PEM.replace("\n", "\r\n"), PEM.replace("\n", " ")])
def test_a_value_of_several_lines_is_masked_in_each(printed: str, prefix: str) -> None:
    told = masked("\n".join(prefix + line for line in printed.splitlines()) + "\nend", [PEM])
    assert "SECRET" not in told
    assert "PRIVATE" not in told
    assert told.endswith("\nend")


def test_a_value_with_written_line_ends_is_masked_in_lines() -> None:
    assert "SECRET" not in masked(PEM, [PEM.replace("\n", "\\n")])
    assert "SECRET" not in masked(PEM.replace("\n", "\n> "), [PEM.replace("\n", "\\r\\n")])


@pytest.mark.parametrize("width", [20, 33, 80])
@pytest.mark.parametrize("prefix", ["", "    ", "> "])
def test_a_value_is_masked_in_wrapped_lines(width: int, prefix: str) -> None:
    value = "".join(f"{number:x}s3cr3t" for number in range(40))
    told = masked("\n".join(prefix + line for line in textwrap.wrap(value, width)), [value])
    # Nothing, but for what is left of the last line.
    assert len(told.replace(prefix, "").replace("*", "").replace("\n", "")) < PIECE
    assert masked("the first 20: " + value[:20] + "…", [value]) == "the first 20: ***…"


def test_a_value_is_masked_when_it_is_wrapped_at_a_space() -> None:
    value = "correct horse battery staple"
    assert masked("it is correct horse\n   battery staple", [value]) == "it is ***"


def test_short_values_and_words_stay() -> None:
    line = "INFO loaded=true mode=default on port 80 of abc"
    assert (
        masked(line, ["80", "true", "info", "INFO", "abc", "a" * (SHORTEST_VALUE - 1), "", " ", "default"])
        == line
    )
    assert masked("port 8080", ["8080"]) == "port ***"


def test_the_longest_value_is_masked_first_and_neighbours_are_one() -> None:
    assert masked("s3cr3t-and-more", ["s3cr3t", "s3cr3t-and-more"]) == "***"
    assert masked("aaaabbbb", ["aaaa", "bbbb"]) == "***"
    assert masked("aaaa bbbb aaaa", ["aaaa"]) == "*** bbbb ***"
    assert masked("nothing", []) == "nothing"


def test_secrets_inside_a_value_are_masked() -> None:
    document = json.dumps({"user": "me", "keys": [{"private_key": PEM}, "api-key-1", 5], "mode": "warning"})
    for printed in (PEM, json.dumps(PEM), "api-key-1"):
        told = masked(f"[{printed}] warning me", [document])
        assert "SECRET" not in told
        assert "api-key" not in told
        assert told.endswith("warning me")
    url = "postgres://user:p%40ss-w0rd@db.example.com/x"
    assert masked("no entry for p@ss-w0rd of user", [url]) == "no entry for *** of user"
    assert masked("no entry for p%40ss-w0rd", [url]) == "no entry for ***"
    assert masked("short", [f"postgres://user:{'s' * (SHORTEST_MEMBER - 1)}@db"]) == "short"
    # Neither JSON nor a URL after all.
    assert masked("{not json", ["{not json"]) == masked("http://[x", ["http://[x"]) == "***"
    assert masked("[" * 50, ["[" * 50_000]) == "***"


def test_what_can_stand_for_no_character_does_no_harm() -> None:
    text = r"\u{ffffff} \Uffffffff \x &#9999999; &#xffffff; \ud83d \ud83d\ude00 \xff\xfe %FF \777 \9 \u12"
    assert masked(text, ["s3cr3t"]) == text
    assert masked(f"{text} s3cr3t", ["s3cr3t"]) == f"{text} ***"
    assert masked("\\xff-s3cr3t", ["ÿ-s3cr3t"]) == "***"


def test_a_piece_of_the_same_beginning_is_masked_to_its_end() -> None:
    value = "prefix-0123456789abcdef-suffix-and-more-of-it"
    assert masked(f"x{value[3:30]}y", [value]) == "x***y"
    # Eight characters alone are no piece.
    assert masked(f"12345678{value[8:16]}12345678", [value]) == f"12345678{value[8:16]}12345678"


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=5, max_size=40).filter(
        lambda value: len(value.strip()) > 5 and "*" not in value and value.lower() not in PLAIN_WORDS
    ),
    st.sampled_from(sorted(FORMS)),
)
def test_any_value_is_masked_in_any_form(value: str, form: str) -> None:
    if form == "octal" and any(c in string.octdigits for c in value):
        return  # ambiguous, and no program writes it so
    told = masked(f"<{FORMS[form](value)}>", [value])
    assert "***" in told
    assert value not in told


# Presigned URLs

SIGNATURE = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20260101&X-Amz-Signature=5164"
URL = f"https://models.s3.eu-west-1.amazonaws.com/m.tar.gz?{SIGNATURE}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            f"Could not connect to {URL}.",
            "Could not connect to https://models.s3.eu-west-1.amazonaws.com/m.tar.gz?***.",
        ),
        (f'at "{URL}" (1)', 'at "https://models.s3.eu-west-1.amazonaws.com/m.tar.gz?***" (1)'),
        (
            f"Max retries exceeded with url: /m.tar.gz?{SIGNATURE} (Caused by",
            "Max retries exceeded with url: /m.tar.gz?*** (Caused by",
        ),
        (
            json.dumps({"url": URL}).replace("&", "\\u0026"),
            '{"url": "https://models.s3.eu-west-1.amazonaws.com/m.tar.gz?***"}',
        ),
        (
            f"redirect={quote(URL, safe='')} x",
            "redirect=https%3A%2F%2Fmodels.s3.eu-west-1.amazonaws.com%2Fm.tar.gz%3F*** x",
        ),
        (
            f"<a href='{html.escape(URL)}'>",
            "<a href='https://models.s3.eu-west-1.amazonaws.com/m.tar.gz?***'>",
        ),
        (
            "http://b.s3.amazonaws.com/k?AWSAccessKeyId=AKIA&Expires=1&Signature=b%3D",
            "http://b.s3.amazonaws.com/k?***",
        ),
        (
            "https://d1.cloudfront.net/k?Expires=1&Key-Pair-Id=K&Signature=b",
            "https://d1.cloudfront.net/k?***",
        ),
        ("https://a.blob.core.windows.net/k?sv=2024&sig=b%3D", "https://a.blob.core.windows.net/k?***"),
        ("https://h/k?sig=b", "https://h/k?***"),
        ("https://storage.googleapis.com/k?X-Goog-Signature=b", "https://storage.googleapis.com/k?***"),
        ("https://h/k?versionId=3 and why? Because.", "https://h/k?versionId=3 and why? Because."),
    ],
)
def test_a_presigned_url_loses_its_query(text: str, told: str) -> None:
    assert without_signatures(text) == told
    assert masked(text, ["another-s3cr3t"]) == told


# Errors


class TwiceError(Exception):
    """Has its text a second time, as botocore's and docker's errors do."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.response: Any = {"Error": {"Message": text, "Values": [text, 5]}}
        self.explanation = text
        self.number = 5


def test_an_error_and_all_that_it_comes_from_are_masked() -> None:
    inner = OSError(ValueError(f"inner s3cr3t {URL}"))
    outer = TwiceError(f"outer s3cr3t {URL}")
    outer.__cause__ = inner
    inner.__context__ = outer
    outer.add_note("note s3cr3t")
    mask_error(outer, ["s3cr3t"])
    whole = "https://models.s3.eu-west-1.amazonaws.com/m.tar.gz?***"
    assert str(outer) == outer.explanation == f"outer *** {whole}"
    assert outer.response == {"Error": {"Message": f"outer *** {whole}", "Values": [f"outer *** {whole}", 5]}}
    assert outer.number == 5
    assert str(inner) == f"inner *** {whole}"
    assert outer.__notes__ == ["note ***"]
