"""Mask secret values, and the signatures of presigned URLs, in texts that containers and AWS wrote."""

from __future__ import annotations

import binascii
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from airflow_sm_hosting.spec.secret import SHOWN

#: Minimum length of a value that is masked: a shorter one occurs everywhere, and is not a secret.
SHORTEST_VALUE = 4
#: Values that are settings and no secrets: masking them makes a log unreadable.
PLAIN_WORDS = frozenset(
    (
        "true",
        "false",
        "none",
        "null",
        "auto",
        "default",
        "debug",
        "info",
        "warn",
        "warning",
        "error",
        "critical",
    )
)
#: Minimum length of a string inside a JSON value, and of a password inside a URL, that is masked by itself.
SHORTEST_MEMBER = 8
#: Every piece of a value with this many characters is masked: logs wrap lines, cut them, and put a prefix before each.
PIECE = 16
#: A piece of 16 characters contains a whole block of 8 that starts at a multiple of 8 in the text.
_BLOCK = PIECE // 2

#: Parameters of a URL that sign it: of Amazon S3 (AmazonS3/latest/API/sigv4-query-string-auth.html; version 2:
#: RESTAuthentication.html), of CloudFront (private-content-creating-signed-url-canned-policy.html), Google Cloud and Azure storage.
_SIGNED = re.compile(
    r"x-amz-|awsaccesskeyid|signature|key-pair-id|x-goog-|(?:^|[&;]|%26|u0026)sig(?:=|%3d|\\u003d)",
    re.IGNORECASE,
)
#: A query, also in JSON with escaped characters, and in another URL; up to a space, a quote or a bracket, so the search is linear.
_QUERY = re.compile(r"(?P<mark>\?|%3[fF]|\\u003[fF])(?P<query>[^\s\"'<>`]+)")


def without_signatures(text: str) -> str:
    """Return a text in which each presigned URL has ``***`` in place of its query."""
    return _QUERY.sub(_shown_query, text)


def masked(text: str, values: Iterable[str]) -> str:
    """Return a text with ``***`` in place of secret values in any form, and in place of the queries of presigned URLs.

    The forms: as it is; line by line; in pieces of 16 characters or more; escaped as in JSON, Python, JavaScript and shells; URL-encoded;
    in HTML or XML; quoted for a shell, SQL or CSV; in base64 or hex, also as a part of a longer text; and two of these, one in the other.
    The time is linear in the length of the text.

    :param text: Lines of a container, or the message of an error.
    :param values: The values. Values of less than 4 characters, and words such as ``true``, stay.
    """
    return masker(values)(text)


def masker(values: Iterable[str]) -> Callable[[str], str]:
    """Return :func:`masked` for some values, for many texts.

    :param values: The secret values.
    """
    secrets = _Secrets(values)

    def mask(text: str) -> str:
        text = without_signatures(text)
        if not secrets.wholes:
            return text
        return _covered(text, [span for view in _views(text) for span in view.spans(secrets)])

    return mask


def mask_error(error: BaseException, values: Iterable[str] = ()) -> None:
    """Mask the message of an error and of all errors that it comes from, in place: the type and the traceback stay.

    :param error: The error.
    :param values: The secret values.
    """
    mask = masker(values)
    seen: set[int] = set()
    left: list[Any] = [error]
    while left:
        one = left.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        left += [one.__cause__, one.__context__, *one.args]
        one.args = tuple(_masked_value(part, mask) for part in one.args)
        # Many errors have their text or its parts a second time: "response" of botocore's, "explanation" of docker's.
        for name, kept in list(vars(one).items()):
            if isinstance(kept, str | dict | list):
                setattr(one, name, _masked_value(kept, mask))


def _masked_value(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: _masked_value(item, mask) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked_value(item, mask) for item in value]
    return value


def _shown_query(found: re.Match[str]) -> str:
    if not _SIGNED.search(found["query"]):
        return found[0]
    query = found["query"]
    return f"{found['mark']}{SHOWN}{query[len(query.rstrip('.,;:)]}')) :]}"


class _Secrets:
    """What to look for in a text.

    :param values: The secret values.
    """

    def __init__(self, values: Iterable[str]) -> None:
        texts = {form for value in values for form in _parts(value)}
        #: Encoded as UTF-8, and each byte shown as a character: decoded base64 is bytes.
        octets = {text.encode(errors="surrogatepass").decode("latin-1") for text in texts}
        self.wholes = sorted(texts | octets, key=len, reverse=True)
        #: The places of all blocks of long values; of equal blocks the first.
        self.blocks: dict[str, tuple[str, int]] = {}
        for whole in self.wholes:
            if len(whole) > PIECE:
                for start in range(len(whole) - _BLOCK + 1):
                    self.blocks.setdefault(whole[start : start + _BLOCK], (whole, start))


def _parts(value: str) -> Iterator[str]:
    """Yield a value, its lines, and what is a secret by itself in it."""
    if len(value.strip()) < SHORTEST_VALUE or value.strip().lower() in PLAIN_WORDS:
        return
    yield value
    # A private key in an environment often has "\n" in place of its line ends; the container makes lines of it.
    for form in (value, re.sub(r"\\r|\\n", "\n", value)):
        for line in form.splitlines():
            if len(line.strip()) >= SHORTEST_VALUE:
                yield line.strip()
    members = [*_strings_of_json(value), *_password_of_url(value)]
    for member in members:
        if len(member.strip()) >= SHORTEST_MEMBER and member.lower() not in PLAIN_WORDS:
            yield member
            yield from (line.strip() for line in member.splitlines() if len(line.strip()) >= SHORTEST_VALUE)


def _strings_of_json(value: str) -> Iterator[str]:
    if not value.lstrip().startswith(("{", "[", '"')):
        return
    try:
        left: list[Any] = [json.loads(value)]
    except (ValueError, RecursionError):
        return
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list):
            left += item


def _password_of_url(value: str) -> Iterator[str]:
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}


class _View:
    """A text as it is, or decoded; each part of it has a place in the original text.

    :param text: The decoded text.
    :param places: Pairs of positions, here and in the parent's text, where the distance between them changes; the last one is the end.
        Two pairs of one position here are around characters that stand for nothing.
    :param parent: The view that was decoded.
    :param rate: Characters of the parent for each character here, as a fraction, between two pairs.
    """

    def __init__(
        self,
        text: str,
        places: list[tuple[int, int]],
        parent: _View | None = None,
        rate: tuple[int, int] = (1, 1),
    ) -> None:
        self.text = text
        self._at = [here for here, _ in places]
        self._origins = [origin for _, origin in places]
        self._parent = parent
        self._rate = rate

    def spans(self, secrets: _Secrets) -> Iterator[tuple[int, int]]:
        """Yield start and end of each secret in the original text."""
        for whole in secrets.wholes:
            start = self.text.find(whole)
            while start >= 0:
                yield self._span(start, start + len(whole))
                start = self.text.find(whole, start + len(whole))
        if secrets.blocks:
            for start, end in self._pieces(secrets.blocks):
                yield self._span(start, end)

    def _pieces(self, blocks: dict[str, tuple[str, int]]) -> Iterator[tuple[int, int]]:
        """Yield the pieces of values: a known block, and what continues it on both sides."""
        text, done = self.text, 0
        for at in range(0, len(text) - _BLOCK + 1, _BLOCK):
            if at + _BLOCK <= done or (found := blocks.get(text[at : at + _BLOCK])) is None:
                continue
            whole, place = found
            start, end, place_end = at, at + _BLOCK, place + _BLOCK
            while start > done and place > 0 and text[start - 1] == whole[place - 1]:
                start, place = start - 1, place - 1
            while end < len(text) and place_end < len(whole) and text[end] == whole[place_end]:
                end, place_end = end + 1, place_end + 1
            if end - start >= PIECE:
                done = end
                yield start, end

    def _span(self, start: int, end: int) -> tuple[int, int]:
        view: _View | None = self
        while view is not None:
            start, end = view._start(start), view._end(end)
            view = view._parent
        return start, end

    def _start(self, position: int) -> int:
        index = bisect_right(self._at, position) - 1
        many, of = self._rate
        return self._origins[index] + (position - self._at[index]) * many // of

    def _end(self, position: int) -> int:
        index = bisect_left(self._at, position)
        if self._at[index] == position:
            return self._origins[index]
        many, of = self._rate
        return self._origins[index - 1] - (self._at[index - 1] - position) * many // of


def _views(text: str) -> Iterator[_View]:
    """Yield the text, and all its decodings: escapes in escapes, encoded bytes, and escapes in these."""
    whole = _View(text, [(0, 0), (len(text), len(text))])
    seen = {text}
    once = [whole, *_decoded(whole, seen)]
    yield from once
    for view in once[1:]:
        yield from _decoded(view, seen)
    for view in once:
        lines = _decoded(view, seen, _JOINED)
        yield from lines
        for plain in (view, *lines[:1]):
            for read in _bytes_of(plain):
                yield read
                yield from _decoded(read, seen)


class _Encoding(NamedTuple):
    """A way to write characters otherwise.

    :param pattern: What stands for one or several characters.
    :param read: Returns the characters that a match stands for, and the length of each in the text.
    """

    pattern: re.Pattern[str]
    read: Callable[[str], list[tuple[str, int]]]


def _decoded(view: _View, seen: set[str], encodings: Iterable[_Encoding] | None = None) -> list[_View]:
    """Return the decodings of a view that differ from all former ones."""
    found = []
    for encoding in _ENCODINGS if encodings is None else encodings:
        parts: list[str] = []
        places = [(0, 0)]
        length = last = 0
        for match in encoding.pattern.finditer(view.text):
            literal = view.text[last : match.start()]
            parts.append(literal)
            length, last = length + len(literal), match.start()
            places.append((length, last))
            for character, size in encoding.read(match[0]):
                parts.append(character)
                length, last = length + len(character), last + size
                places.append((length, last))
            last = match.end()
            places.append((length, last))
        parts.append(view.text[last:])
        text = "".join(parts)
        if text not in seen:
            seen.add(text)
            places.append((len(text), len(view.text)))
            found.append(_View(text, places, view))
    return found


_CONTROLS = {
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "0": "\0",
}
_ESCAPE = re.compile(
    r"(?:\\x[0-9a-fA-F]{2})+|(?:\\[0-3][0-7]{2})+"
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u[0-9a-fA-F]{4}|\\u\{0*[0-9a-fA-F]{1,6}\}|\\U[0-9a-fA-F]{8}|\\.",
    re.DOTALL,
)


def _read_escape(escape: str) -> list[tuple[str, int]]:
    kind = escape[1]
    if kind == "x":
        return _read_octets(bytes.fromhex(escape.replace("\\x", "")), 4)
    if kind in "0123" and len(escape) > 2:
        return _read_octets(bytes(int(octal, 8) for octal in escape[1:].split("\\")), 4)
    if kind in "uU" and len(escape) > 2:
        codes = [int(code.strip("{}"), 16) for code in re.split(r"\\[uU]", escape)[1:]]
        if len(codes) == 2:
            return [(chr(0x10000 + ((codes[0] & 0x3FF) << 10) + (codes[1] & 0x3FF)), len(escape))]
        return [(chr(codes[0]) if codes[0] <= 0x10FFFF else "\ufffd", len(escape))]
    return [(_CONTROLS.get(kind, kind), len(escape))]


def _read_octets(octets: bytes, size: int) -> list[tuple[str, int]]:
    """Return bytes as characters, and the length of each: UTF-8, or one character a byte."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return [(character, size) for character in octets.decode("latin-1")]
    return [(character, size * len(character.encode())) for character in text]


def _read_percent(encoded: str) -> list[tuple[str, int]]:
    return [(" ", 1)] if encoded == "+" else _read_octets(bytes.fromhex(encoded.replace("%", "")), 3)


_NAMED = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'"}


def _read_reference(reference: str) -> list[tuple[str, int]]:
    character = _NAMED.get(reference)
    if character is None:
        number = reference[2:-1]
        code = int(number[1:], 16) if number[0] in "xX" else int(number)
        character = chr(code) if code <= 0x10FFFF else "\ufffd"
    return [(character, len(reference))]


_PERCENT = r"(?:%[0-9a-fA-F]{2})+"
_ENCODINGS = (
    _Encoding(_ESCAPE, _read_escape),
    # Python writes the characters of a text in the same way as the bytes of UTF-8.
    _Encoding(re.compile(r"\\x[0-9a-fA-F]{2}|" + _ESCAPE.pattern, re.DOTALL), _read_escape),
    _Encoding(re.compile(_PERCENT), _read_percent),
    # In a form, "+" is a space.
    _Encoding(re.compile(rf"{_PERCENT}|\+"), _read_percent),
    _Encoding(re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|lt|gt|quot|apos);"), _read_reference),
    # Quotes in quotes: of a shell ('\'' and '"'"'), and doubled in SQL, CSV and YAML.
    _Encoding(re.compile(r"""'\\''|'"'"'|''|\"\""""), lambda quotes: [(quotes[0], len(quotes))]),
)
#: Wrapped lines: nothing was between them (so are base64 and hex wrapped, too), or a space.
_WRAPPED = re.compile(r"(?:\\?\r?\n)+[ \t]*")
_JOINED = (_Encoding(_WRAPPED, lambda _: []), _Encoding(_WRAPPED, lambda end: [(" ", len(end))]))

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}={0,2}")
_HEX = re.compile(r"[0-9a-fA-F]{8,}")
_URL_SAFE = str.maketrans("-_", "+/")


def _bytes_of(view: _View) -> Iterator[_View]:
    """Yield what runs of base64 and hex in a text stand for, from each character at which a group may begin."""
    for offset in range(4):
        yield _read_runs(view, _BASE64, offset, _read_base64, (4, 3))
    for offset in range(2):
        yield _read_runs(view, _HEX, offset, _read_hex, (2, 1))


def _read_runs(
    view: _View, pattern: re.Pattern[str], offset: int, read: Callable[[str], bytes], rate: tuple[int, int]
) -> _View:
    parts: list[str] = []
    places = [(0, 0)]
    length = 0
    for run in pattern.finditer(view.text):
        octets = read(run[0][offset:]).decode("latin-1")
        # The two runs are apart: no value goes from one into the other.
        parts += (octets, "\0")
        places += ((length, run.start() + offset), (length + len(octets), run.end()))
        length += len(octets) + 1
    places.append((length, len(view.text)))
    return _View("".join(parts), places, view, rate)


def _read_base64(run: str) -> bytes:
    digits = run.rstrip("=")
    digits = digits[:-1] if len(digits) % 4 == 1 else digits
    return binascii.a2b_base64(digits.translate(_URL_SAFE) + "=" * (-len(digits) % 4))


def _read_hex(run: str) -> bytes:
    return bytes.fromhex(run[: len(run) // 2 * 2])


def _covered(text: str, spans: list[tuple[int, int]]) -> str:
    """Return a text with ``***`` in place of the spans; those that touch are one."""
    parts: list[str] = []
    last = 0
    for start, end in sorted(spans):
        if start > last or not parts:
            parts += (text[last:start], SHOWN)
        last = max(last, end)
    return "".join((*parts, text[last:]))
