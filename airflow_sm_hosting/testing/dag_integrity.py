"""Assert that DAG files are fit for Airflow's DAG processor, scheduler and form."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

#: What no DAG file should import while it is parsed: it is paid again at every parse.
HEAVY = frozenset(
    {
        "boto3",
        "botocore",
        "docker",
        "moto",
        "numpy",
        "pandas",
        "requests",
        "sagemaker",
        "sklearn",
        "tensorflow",
        "torch",
        "transformers",
    }
)

#: CPU seconds of one parse in a warm process: ten times what a large file takes, so that only real work at the top level is found.
PARSE_SECONDS = 2.0

#: CreateEndpoint, CreateEndpointConfig and CreateModel: pattern of the names.
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")

#: What a run that an asset event or a person starts need not have. https://airflow.apache.org/docs/apache-airflow/stable/templates-ref.html
_OF_SCHEDULED_RUNS = (
    "ds",
    "ds_nodash",
    "ts",
    "ts_nodash",
    "ts_nodash_with_tz",
    "logical_date",
    "data_interval_start",
    "data_interval_end",
)
_USED = re.compile(r"\{[{%][^}]*\b(?<![.|'\"])(" + "|".join(_OF_SCHEDULED_RUNS) + r")\b")


class DagRule(StrEnum):
    """What DAG files must keep."""

    IMPORTS = "imports without an error"
    WARNINGS = "warns about nothing"
    HAS_DAG = "has a DAG"
    NETWORK = "makes no call while it is parsed"
    HEAVY = "imports nothing heavy"
    PARSE_COST = "is parsed quickly"
    CYCLE = "has no cycle"
    PARAMS = "Params are valid without a form"
    NAMES = "names are valid in SageMaker"
    RUN_DATES = "works in runs without a logical date"
    SERIALISATION = "can be serialised"
    SAME = "is the same at each parse"


#: Texts in errors of Airflow's, with the rules that they are about.
_AIRFLOWS_OWN = {
    "Cycle detected": DagRule.CYCLE,
    "required params without default values": DagRule.PARAMS,
    "ParamValidationError": DagRule.PARAMS,
    "Failed to serialize": DagRule.SERIALISATION,
}


@dataclass(frozen=True)
class Finding:
    """A rule that a DAG file breaks.

    :param rule: The rule.
    :param file: The file.
    :param place: The DAG and task, where there is one.
    :param text: What was found.
    """

    rule: DagRule
    file: str
    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}{f', {self.place}' if self.place else ''}: {self.rule.name}: {self.text}"


def assert_dag_integrity(
    path: str | os.PathLike[str],
    *,
    heavy: Collection[str] = HEAVY,
    parse_seconds: float = PARSE_SECONDS,
    params: Mapping[str, Mapping[str, Any]] | None = None,
    allowed: Collection[DagRule] = (),
) -> None:
    """Assert that DAG files keep the rules of :class:`DagRule`. Needs no database, no AWS and no Docker engine.

    The files are parsed as Airflow's DAG processor parses them, twice, in processes of their own without a network.

    :param path: A DAG file, or a folder of them; files below folders in it are not parsed.
    :param heavy: Modules and packages that no file may import while it is parsed (default: ``HEAVY``).
    :param parse_seconds: What one parse may cost, in CPU seconds of a process that has Airflow already (default: 2).
    :param params: Values of Params by DAG id, to render names with that have no default.
    :param allowed: Rules that are not checked.
    :raises AssertionError: With one line for each finding: file, DAG, task, rule, and what was found.
    """
    found = [one for one in find_problems(path, heavy, parse_seconds, params) if one.rule not in allowed]
    if found:
        raise AssertionError("\n".join([f"{len(found)} findings in DAG files:", *map(str, found)]))


def find_problems(
    path: str | os.PathLike[str],
    heavy: Collection[str] = HEAVY,
    parse_seconds: float = PARSE_SECONDS,
    params: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Finding]:
    """Return what :func:`assert_dag_integrity` would find.

    :param path: A DAG file, or a folder of them.
    :param heavy: Modules and packages that no file may import while it is parsed.
    :param parse_seconds: What one parse may cost, in CPU seconds.
    :param params: Values of Params by DAG id.
    :raises ValueError: If there is no DAG file.
    """
    found = Path(path).resolve()
    files = sorted(found.glob("*.py")) if found.is_dir() else [found] if found.is_file() else []
    if not files:
        raise ValueError(f"{path} is no DAG file, and no folder with DAG files.")
    folder = found if found.is_dir() else found.parent
    # Sets and hashes are ordered differently in the two: what depends on them is not the same at each parse.
    first, second = (_facts(folder, files, params or {}, seed) for seed in ("1", "2"))
    return [
        finding
        for one, other in zip(first, second, strict=True)
        for finding in findings(one, other, heavy=heavy, parse_seconds=parse_seconds)
    ]


def findings(
    facts: Mapping[str, Any],
    again: Mapping[str, Any],
    *,
    heavy: Collection[str] = HEAVY,
    parse_seconds: float = PARSE_SECONDS,
) -> Iterator[Finding]:
    """Yield the rules that a file breaks.

    :param facts: What parsing it showed.
    :param again: What another parse showed.
    :param heavy: Modules and packages that it may not import.
    :param parse_seconds: What one parse may cost, in CPU seconds.
    """
    file = Path(facts["file"]).name

    def finding(rule: DagRule, text: str, place: str = "") -> Finding:
        return Finding(rule, file, place, text)

    if facts["connections"]:
        yield finding(DagRule.NETWORK, f"it connects to {', '.join(facts['connections'])} at the top level")
    elif facts["errors"]:
        yield from (finding(_rule_of(error), _last_line(error)) for error in facts["errors"])
    elif not facts["dags"]:
        yield finding(DagRule.HAS_DAG, "no DAG was found in it")
    yield from (finding(DagRule.WARNINGS, text) for text in facts["warnings"])
    names = [
        name
        for name in sorted(heavy)
        if any(one == name or one.startswith(f"{name}.") for one in facts["imported"])
    ]
    if names:
        text = f"it imports {', '.join(names)} at the top level: import what a task needs in the task"
        yield finding(DagRule.HEAVY, text)
    if facts["seconds"] > parse_seconds:
        yield finding(
            DagRule.PARSE_COST,
            f"a parse takes {facts['seconds']:.1f} CPU seconds; {parse_seconds:g} are allowed",
        )
    for dag_id, dag in facts["dags"].items():
        other = again["dags"].get(dag_id)
        yield from _of_dag(finding, dag_id, dag)
        if other is None or (dag["hash"] and other["hash"] != dag["hash"]):
            text = "another parse makes another DAG: Airflow would store a new version at each parse"
            yield finding(DagRule.SAME, text, dag_id)
    for dag_id in sorted(set(again["dags"]) - set(facts["dags"])):
        yield finding(DagRule.SAME, "only one of two parses makes this DAG", dag_id)


def _of_dag(finding: Any, dag_id: str, dag: Mapping[str, Any]) -> Iterator[Finding]:
    for task, field, value in dag["names"]:
        if not _NAME.fullmatch(value):
            text = f"{field} is {value!r}; allowed are letters, digits and hyphens inside, 63 at most"
            yield finding(DagRule.NAMES, text, f"{dag_id}.{task}")
    for task, field, text in dag["templates"]:
        if used := _USED.search(text):
            yield finding(
                DagRule.RUN_DATES,
                f"{field} uses {used[1]}, which runs that an asset event or a person starts need not have",
                f"{dag_id}.{task}",
            )
    if dag["serialisation"]:
        yield finding(DagRule.SERIALISATION, _first_line(dag["serialisation"]), dag_id)
    for task in dag["lost_tasks"]:
        yield finding(
            DagRule.SERIALISATION,
            "the task is lost when the DAG is stored and read again",
            f"{dag_id}.{task}",
        )


def _facts(
    folder: Path, files: Iterable[Path], params: Mapping[str, Mapping[str, Any]], seed: str
) -> list[dict[str, Any]]:
    """Parse the files in a new process; return what each showed."""
    from airflow_sm_hosting.testing.parse_probe import MARK

    # Also deprecations, which Python ignores by default.
    program = [sys.executable, "-W", "default", "-m", "airflow_sm_hosting.testing.parse_probe"]
    done = subprocess.run(
        [*program, str(folder), json.dumps(params), *map(str, files)],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
    )
    lines = [line.removeprefix(MARK) for line in done.stdout.splitlines() if line.startswith(MARK)]
    if done.returncode:
        raise RuntimeError(f"The DAG files could not be parsed:\n{done.stderr[-4000:]}")
    return [json.loads(line) for line in lines]


def _rule_of(error: str) -> DagRule:
    """Return the rule that an import error is about: Airflow finds some mistakes when it makes the DAG."""
    return next((rule for text, rule in _AIRFLOWS_OWN.items() if text in error), DagRule.IMPORTS)


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0]
