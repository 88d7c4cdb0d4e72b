"""Read the Dockerfiles that need no engine: instructions, quoting, variables. Pure.

dockerfile-parse on PyPI has had no release since 2023 and knows neither flags nor BuildKit's rules.

.. seealso:: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_sm_hosting.exceptions import ImageBuildError

_DIRECTIVE = re.compile(r"^#\s*([A-Za-z][\w-]*)\s*=\s*(.+?)\s*$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9]")
_ARG_LINE = re.compile(r"\s*ARG\s+(.+)", re.IGNORECASE)
_ARG_PAIR = re.compile(r"(\w+)(?:=(\"[^\"]*\"|'[^']*'|\S*))?")
#: The end of a line that goes on in the next one.
_CONTINUED = re.compile(r"[\\`]\s*\n")
_FROM_LINE = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_FROM_FLAG = re.compile(r"(?:--|,)from=([^\s,]+)")
_FLAG = re.compile(r"--([a-z]+)(?:=(\S*))?\s*")
#: The base of an image that has none.
SCRATCH = "scratch"


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile.

    :param name: in upper case
    :param flags: ``{"chown": "0:0"}`` for ``--chown=0:0``
    :param arguments: the rest, with continued lines joined
    :param file: the Dockerfile, for messages
    :param line: where it starts, from 1
    """

    name: str
    flags: Mapping[str, str]
    arguments: str
    file: str
    line: int
    escape: str = "\\"

    def refuse(self, why: str) -> ImageBuildError:
        """Return the error that names the file, the line and the instruction."""
        flags = "".join(f" --{flag}={value}" if value else f" --{flag}" for flag, value in self.flags.items())
        return ImageBuildError(
            f"{self.file}, line {self.line}: {self.name}{flags} {self.arguments}\n{why}".replace(" \n", "\n")
        )

    def exec_form(self) -> list[str] | None:
        """Return the arguments of the JSON form, None if they are not in it.

        What looks like JSON and is none, is the shell form: that is Docker's own rule.
        """
        if not self.arguments.startswith("["):
            return None
        try:
            words = json.loads(self.arguments)
        except ValueError:
            return None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            return None
        return words

    def command(self) -> list[str]:
        """Return the arguments of ENTRYPOINT and CMD as the image's configuration has them."""
        words = self.exec_form()
        if words is not None:
            return words
        return ["/bin/sh", "-c", self.arguments] if self.arguments else []

    def words(self, variables: Mapping[str, str]) -> list[str]:
        """Return the arguments as words, with quotes removed and variables replaced."""
        listed = self.exec_form()
        if listed is not None:
            return [self.expand(word, variables) for word in listed]
        return [self.expand(word, variables) for word in self._split()]

    def pairs(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the arguments of ENV, LABEL and ARG: ``NAME=value …``, or the old ``NAME value``."""
        words = self._split()
        if not words:
            raise self.refuse(f"{self.name} needs at least one argument")
        if "=" not in words[0]:
            name, _, value = self.arguments.partition(" ")
            if not value.strip():
                raise self.refuse(f"{self.name} needs a value: NAME=value")
            return {self.expand(name, variables): self.expand(value.strip(), variables)}
        pairs: dict[str, str] = {}
        for word in words:
            name, equals, value = word.partition("=")
            if not equals or not name:
                raise self.refuse(f"{word!r} is not of the form NAME=value")
            # All values of one instruction see the variables as they were before it.
            pairs[self.expand(name, variables)] = self.expand(value, variables)
        return pairs

    def expand(self, word: str, variables: Mapping[str, str]) -> str:
        """Return the word with quotes and escapes removed and variables replaced, as in Docker."""
        return _Expansion(self, word, variables).result()

    def _split(self) -> list[str]:
        words: list[str] = []
        word = ""
        quote = ""
        at = 0
        text = self.arguments
        while at < len(text):
            character = text[at]
            if character == self.escape and quote != "'" and at + 1 < len(text):
                word += text[at : at + 2]
                at += 2
                continue
            if character in "\"'" and quote in {"", character}:
                quote = "" if quote else character
            if character.isspace() and not quote:
                if word:
                    words.append(word)
                word = ""
            else:
                word += character
            at += 1
        if quote:
            raise self.refuse(f"A quote {quote} is not closed")
        return [*words, word] if word else words


def image_references(text: str, variables: Mapping[str, str]) -> list[str]:
    """Return the images that a Dockerfile reads from: those of FROM, and of ``--from`` and ``from=`` of COPY and RUN; no stages.

    Any Dockerfile is read, also one for BuildKit.

    :param text: of the Dockerfile
    :param variables: values of its ARG instructions, and of Docker's own, such as ``TARGETARCH``
    """
    known = dict(variables)
    stages: set[str] = {SCRATCH}
    found: list[str] = []
    for line in _CONTINUED.sub(" ", text).splitlines():
        instruction = Instruction("FROM", {}, line, "Dockerfile", 0)
        try:
            if argument := _ARG_LINE.match(line):
                for name, default in _ARG_PAIR.findall(argument[1]):
                    if default:
                        known.setdefault(name, instruction.expand(default, known))
            base = _FROM_LINE.match(line)
            names = [base[1]] if base else _FROM_FLAG.findall(line)
            # Stages have names in any case, and numbers.
            found += [
                image
                for image in (instruction.expand(name, known) for name in names)
                if image and image.lower() not in stages and not image.isdecimal()
            ]
            if base and base[2]:
                stages.add(base[2].lower())
        except ImageBuildError:
            continue
    return list(dict.fromkeys(found))


def platform_arguments(platform: str) -> dict[str, str]:
    """Return the arguments that Docker declares before FROM.

    :param platform: ``os/architecture[/variant]``
    """
    os_name, architecture, *variant = platform.split("/")
    return {
        "TARGETPLATFORM": platform,
        "TARGETOS": os_name,
        "TARGETARCH": architecture,
        "TARGETVARIANT": variant[0] if variant else "",
    }


def parse_dockerfile(text: str, *, file: str = "Dockerfile") -> list[Instruction]:
    """Return the instructions of a Dockerfile.

    :param text: of the Dockerfile
    :param file: what messages call it
    :raises ImageBuildError: a line that is not an instruction, with its number
    """
    lines = text.splitlines()
    escape = _escape_directive(lines)
    instructions: list[Instruction] = []
    collected = ""
    start = 0
    for number, line in enumerate(lines, start=1):
        stripped = line.strip()
        # Comments and empty lines are allowed within a continued instruction, too.
        if stripped.startswith("#") or not stripped:
            continue
        if not start:
            start = number
        content = line.rstrip()
        if content.endswith(escape):
            collected += content[:-1]
            continue
        instructions.append(_instruction(collected + content, file, start, escape))
        collected, start = "", 0
    if start:
        instructions.append(_instruction(collected, file, start, escape))
    if not instructions:
        raise ImageBuildError(f"{file} contains no instruction")
    return instructions


def _escape_directive(lines: list[str]) -> str:
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if directive is None:
            break  # directives stand before everything else
        if directive[1].lower() == "escape":
            if directive[2] not in {"\\", "`"}:
                raise ImageBuildError(f"Dockerfile: the escape directive allows \\ and `, not {directive[2]}")
            return directive[2]
    return "\\"


def _instruction(text: str, file: str, line: int, escape: str) -> Instruction:
    name, _, rest = text.strip().replace("\t", " ").partition(" ")
    rest = rest.strip()
    flags: dict[str, str] = {}
    while (flag := _FLAG.match(rest)) is not None:
        flags[flag[1]] = flag[2] or ""
        rest = rest[flag.end() :]
    instruction = Instruction(name.upper(), flags, rest, file, line, escape)
    if not re.fullmatch("[A-Z]+", instruction.name):
        raise instruction.refuse("This is not an instruction")
    return instruction


class _Expansion:
    """One pass over a word, as moby's shell lexer makes it."""

    def __init__(self, instruction: Instruction, word: str, variables: Mapping[str, str]) -> None:
        self._instruction = instruction
        self._word = word
        self._variables = variables
        self._at = 0

    def result(self) -> str:
        return self._until("")

    def _until(self, end: str) -> str:
        out: list[str] = []
        while self._at < len(self._word):
            character = self._word[self._at]
            if end and character == end:
                return "".join(out)
            self._at += 1
            if character == "'" and end != '"':
                out.append(self._single_quoted())
            elif character == '"' and end != '"':
                out.append(self._until('"'))
                self._at += 1
            elif character == self._instruction.escape:
                out.append(self._escaped(in_quotes=end == '"'))
            elif character == "$":
                out.append(self._variable())
            else:
                out.append(character)
        if end:
            raise self._instruction.refuse(f"{end!r} is missing in {self._word}")
        return "".join(out)

    def _single_quoted(self) -> str:
        end = self._word.find("'", self._at)
        if end < 0:
            raise self._instruction.refuse(f"A quote ' is not closed in {self._word}")
        text = self._word[self._at : end]
        self._at = end + 1
        return text

    def _escaped(self, *, in_quotes: bool) -> str:
        if self._at >= len(self._word):
            return self._instruction.escape
        character = self._word[self._at]
        self._at += 1
        if in_quotes and character not in {'"', "$", self._instruction.escape}:
            return self._instruction.escape + character
        return character

    def _variable(self) -> str:
        if self._word.startswith("{", self._at):
            return self._braced()
        name = _NAME.match(self._word, self._at)
        if name is None:
            return "$"
        self._at = name.end()
        return self._variables.get(name[0], "")

    def _braced(self) -> str:
        self._at += 1
        name = _NAME.match(self._word, self._at)
        if name is None:
            raise self._instruction.refuse(f"{self._word} has no variable name after ${{")
        self._at = name.end()
        value = self._variables.get(name[0])
        empty_counts = self._word.startswith(":", self._at)
        self._at += empty_counts
        operator = self._word[self._at : self._at + 1]
        if operator == "}" and not empty_counts:
            self._at += 1
            return value or ""
        if operator not in {"-", "+", "?"}:
            raise self._instruction.refuse(
                f"{self._word}: only ${{x}}, ${{x:-y}}, ${{x:+y}} and ${{x:?y}} are supported"
            )
        self._at += 1
        alternative = self._until("}")
        self._at += 1
        is_set = bool(value) if empty_counts else value is not None
        if operator == "+":
            return alternative if is_set else ""
        if operator == "?" and not is_set:
            raise self._instruction.refuse(
                f"The variable {name[0]} is not set: {alternative or 'it must be'}"
            )
        return (value or "") if is_set else alternative
