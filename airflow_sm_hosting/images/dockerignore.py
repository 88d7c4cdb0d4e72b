"""Docker's pattern language for ``.dockerignore``.

It is not gitignore's: patterns are anchored at the root of the context, a trailing slash means nothing, and
``!`` brings back a file whose folder is excluded.

.. seealso:: https://docs.docker.com/build/concepts/context/#dockerignore-files and moby/patternmatcher, which the
    Docker CLI and BuildKit use
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import AnyStr

from pathspec import PathSpec
from pathspec.pattern import RegexPattern

from airflow_sm_hosting.exceptions import InvalidSpecError


class DockerignorePattern(RegexPattern):
    """One line of a ``.dockerignore``, for :class:`pathspec.PathSpec` (the last pattern that matches decides)."""

    @classmethod
    def pattern_to_regex(cls, pattern: AnyStr) -> tuple[AnyStr | None, bool | None]:
        """Return the line as a regular expression, and whether it excludes (True) or brings back (False).

        A line that is empty, a comment or ``.`` matches nothing: ``(None, None)``.
        """
        line = pattern if isinstance(pattern, str) else pattern.decode()
        regex, excludes = _translate(line)
        if regex is None or isinstance(pattern, str):
            return regex, excludes
        return regex.encode(), excludes


class Dockerignore:
    """The patterns of a ``.dockerignore``.

    :param lines: the file's lines
    :raises InvalidSpecError: a pattern that Docker refuses, too
    """

    def __init__(self, lines: Iterable[str]) -> None:
        kept = [line.removeprefix("\ufeff") for line in lines if not line.startswith("#")]
        try:
            self._spec = PathSpec.from_lines(DockerignorePattern, kept)
        except re.error as error:
            raise InvalidSpecError(f"A pattern of the .dockerignore is malformed: {error}") from error
        self.is_empty = not any(pattern.include is not None for pattern in self._spec.patterns)
        #: Whether something in an excluded folder can come back, so that excluded folders must be looked into.
        self.brings_back = any(pattern.include is False for pattern in self._spec.patterns)

    def excludes(self, path: str) -> bool:
        """Return whether the file or folder is left out.

        :param path: relative to the root of the context, with ``/``
        """
        return not self.is_empty and self._spec.match_file(path)


def _translate(line: str) -> tuple[str | None, bool | None]:
    text = line.strip()
    excludes = not text.startswith("!")
    if not excludes:
        text = text[1:].strip()
    # As Go's filepath.Clean does: no "//", no trailing slash, "a/../b" is "b"; a leading slash means nothing.
    text = posixpath.normpath(text).lstrip("/") if text else ""
    if text in {"", "."}:
        return None, None
    return f"^{glob_to_regex(text)}(?:/.*)?$", excludes


def glob_to_regex(glob: str) -> str:
    """Return a pattern of Go's ``filepath.Match``, with Docker's ``**`` besides, as a regular expression.

    :raises InvalidSpecError: the pattern is malformed
    """
    regex: list[str] = []
    at = 0
    while at < len(glob):
        character = glob[at]
        if glob.startswith("**", at):
            at += 2
            if glob.startswith("/", at):
                at += 1  # "**/" is any number of folders, none included
                regex.append("(?:.*/)?")
            else:
                regex.append(".*")
            continue
        at += 1
        if character == "*":
            regex.append("[^/]*")
        elif character == "?":
            regex.append("[^/]")
        elif character == "[":
            end = _class_end(glob, at)
            regex.append(_class_to_regex(glob[at:end]))
            at = end + 1
        elif character == "\\":
            if at == len(glob):
                raise InvalidSpecError(f"The .dockerignore pattern {glob!r} ends with a backslash")
            regex.append(re.escape(glob[at]))
            at += 1
        else:
            regex.append(re.escape(character))
    return "".join(regex)


def _class_end(glob: str, start: int) -> int:
    at = start + 1 if glob[start : start + 1] == "^" else start
    while at < len(glob):
        if glob[at] == "\\":
            at += 1
        elif glob[at] == "]":
            return at
        at += 1
    raise InvalidSpecError(f"The .dockerignore pattern {glob!r} has a '[' without a ']'")


def _class_to_regex(content: str) -> str:
    negated = content.startswith("^")
    body = content.removeprefix("^").replace("[", r"\[")
    # Python reads these as set operations one day; Go never does.
    body = body.replace("&&", r"\&\&").replace("||", r"\|\|").replace("~~", r"\~\~")
    return f"(?!/)[{'^' if negated else ''}{body}]"
