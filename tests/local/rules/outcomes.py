"""The rules as the tests of this folder state them, and the page that shows them."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from tests.local.recordings.facts import DIFFERENCES, FACTS

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "docs" / "local-aws-rules.md"
_ROW = re.compile(
    r"\| (?P<rule>.+?) \| (?:recorded|documented|assumed) \| (?P<source>.+?) \| yes \| (?P<moto>yes|no) \|"
)
_AWS = "https://docs.aws.amazon.com"
_PLACES = {
    "sagemaker": f"{_AWS}/sagemaker/latest/APIReference",
    "guide": f"{_AWS}/sagemaker/latest/dg",
    "cloudwatch": f"{_AWS}/AmazonCloudWatch/latest/APIReference",
    "alarms": f"{_AWS}/AmazonCloudWatch/latest/monitoring",
    "scaling": f"{_AWS}/autoscaling/application/APIReference",
    "scaling-guide": f"{_AWS}/autoscaling/application/userguide",
    "ecr": f"{_AWS}/AmazonECR/latest/APIReference",
    "ecr-guide": f"{_AWS}/AmazonECR/latest/userguide",
    "codebuild": f"{_AWS}/codebuild/latest/APIReference",
    "codebuild-guide": f"{_AWS}/codebuild/latest/userguide",
}
_LINK = re.compile(rf"\b({'|'.join(_PLACES)}):([\w.-]+\.html(?:#[\w-]+)?)")
_ISSUE = re.compile(r"(?<![\w/])([\w.-]+/[\w.-]+)#(\d+)")
_FACT = re.compile(r"\brecorded:([\w-]+)")
#: Code of others that is written for what AWS answers.
_CLIENTS = (
    "aws/amazon-sagemaker-operator-for-k8s",
    "aws-cloudformation/aws-cloudformation-resource-providers-sagemaker",
)


@dataclass(frozen=True)
class Rule:
    """One rule.

    :param name: The name of its test.
    :param text: What it says.
    :param source: Where that is from.
    """

    name: str
    text: str
    source: str

    @property
    def facts(self) -> list[str]:
        """The ids of the recorded answers that prove it."""
        return _FACT.findall(self.source)

    @property
    def proof(self) -> str:
        """Return ``recorded`` (an answer of AWS that was recorded, measured or quoted), ``documented`` or ``assumed``."""
        if self.facts or _ISSUE.search(self.source) or any(client in self.source for client in _CLIENTS):
            return "recorded"
        return "assumed" if self.source.startswith("assumed") else "documented"

    @property
    def shown_source(self) -> str:
        """The source, with links."""
        linked = _LINK.sub(lambda match: f"[{match[2]}]({_PLACES[match[1]]}/{match[2]})", self.source)
        linked = _FACT.sub(r"[\1](#recorded-answers)", linked)
        return _issues(linked)


def _issues(text: str) -> str:
    return _ISSUE.sub(r"[\1#\2](https://github.com/\1/issues/\2)", text)


def rule_of(function: object) -> Rule:
    """Return the rule that a test states: the first paragraph of its docstring, and the one that begins with ``Source:``."""
    doc = inspect.getdoc(function) or ""
    name = str(getattr(function, "__name__", ""))
    text, _, source = doc.partition("\n\nSource: ")
    assert text, f"{name} has no docstring with its rule"
    assert source, f"the docstring of {name} has no paragraph that begins with Source:"
    return Rule(name, " ".join(text.split()), " ".join(source.split()))


def modules() -> Iterator[ModuleType]:
    """Return the modules of this folder that have rules, by name."""
    for path in sorted(FOLDER.glob("test_*.py")):
        if path.stem != "test_page":
            yield importlib.import_module(f"tests.local.rules.{path.stem}")


def rules(module: ModuleType) -> list[Rule]:
    """Return the rules of a module, in its order."""
    return [
        rule_of(value)
        for name, value in vars(module).items()
        if name.startswith("test_") and inspect.isfunction(value)
    ]


def page(moto: dict[str, bool]) -> str:
    """Return the page.

    :param moto: Whether plain moto obeys each rule, by the name of its test.
    """
    sections = {(module.__doc__ or "").strip().rstrip("."): rules(module) for module in modules()}
    every = [rule for found in sections.values() for rule in found]
    obeyed = sum(moto[rule.name] for rule in every)
    proofs = Counter(rule.proof for rule in every)
    alike = len(FACTS) - len(DIFFERENCES)
    lines = [
        "# The rules that the local AWS follows",
        "",
        f"{len(every)} rules of SageMaker hosting and related services, each with one test in `tests/local/rules/`. The local AWS follows all of",
        f"them; plain moto, in the same run of the same tests, follows {obeyed}. A rule about a feature that moto lacks, or about a state that moto",
        "cannot reach (a Failed endpoint), counts as not followed. Only the local AWS can advance time: moto does nothing by itself.",
        "",
        "| proof | rules | meaning |",
        "|---|---|---|",
        f"| recorded | {proofs['recorded']} | AWS's answer was recorded, measured or quoted: in an issue, or among the [recorded answers](#recorded-answers) |",
        f"| documented | {proofs['documented']} | a page of AWS, or botocore's model, says so |",
        f"| assumed | {proofs['assumed']} | no source was found; the rule is inferred |",
        "",
        f"Of {len(FACTS)} recorded answers of AWS, the local AWS and the package agree with {alike}; the last table has them all, and the reasons",
        "for the differences.",
        "",
        "`python -m tests.local.rules.write_page` writes this page; the tests fail if it is out of date.",
    ]
    for heading, found in sections.items():
        lines += [
            "",
            f"## {heading}",
            "",
            "| rule | proof | source | local AWS | plain moto |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {_cell(rule.text)} | {rule.proof} | {_cell(rule.shown_source)} | yes | {'yes' if moto[rule.name] else 'no'} |"
            for rule in found
        ]
    lines += [
        "",
        "## Recorded answers",
        "",
        "What AWS was recorded to answer, each asked for by one test in `tests/local/recordings/`. *Recording* (a saved exchange) and *validated",
        "snapshot* (compared with AWS) are strong; *asserted*, *documented* and *cited* are weak.",
        "",
        "| id | operation | situation | answer of AWS | kind | source | local AWS |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {fact.id} | {fact.operation} | {_cell(fact.situation)} | {_answer(fact.answer)} | {fact.kind} | {_cell(_issues(fact.source))} | "
        f"{_cell(DIFFERENCES.get(fact.id, 'alike'))} |"
        for fact in FACTS
    ]
    return "\n".join(lines) + "\n"


def told_of_moto() -> dict[tuple[str, str], bool]:
    """Return what the page tells of moto, by rule and source."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if match := _ROW.fullmatch(line):
            found[match["rule"], match["source"]] = match["moto"] == "yes"
    return found


def key(rule: Rule) -> tuple[str, str]:
    """Return by what the page has a rule."""
    return _cell(rule.text), _cell(rule.shown_source)


def _answer(text: str) -> str:
    """Return an answer as code, so that nothing in it is taken as Markdown."""
    return f"`{_cell(text).replace('`', '')}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
