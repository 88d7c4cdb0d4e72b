"""The layout of the local AWS: which folder may import which, no circle of modules, and moto in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_sm_hosting.local

PACKAGE = "airflow_sm_hosting.local"
ROOT = Path(airflow_sm_hosting.local.__file__).parent

#: What modules of each folder may import of ``local``, beside their own folder. Each folder may import only folders that stand before
#: it, so the floors are one-way. Modules of ``local`` itself are the ground: they import nothing of it.
FLOORS: dict[str, set[str]] = {
    "": set(),
    "wire": set(),
    "moto_bridge": {"wire"},
    "ecr": {"wire", "moto_bridge"},
    "iam": {"wire", "moto_bridge"},
    "cloudwatch": {"", "wire", "moto_bridge"},
    "engines": {"", "ecr"},
    "sagemaker": {"", "wire", "moto_bridge", "ecr"},
    "sagemaker.endpoints": {"", "wire", "moto_bridge", "ecr", "cloudwatch", "engines", "sagemaker"},
    "sagemaker.components": {"", "wire", "ecr", "sagemaker", "sagemaker.endpoints"},
    "runtime": {
        "",
        "wire",
        "moto_bridge",
        "engines",
        "sagemaker",
        "sagemaker.endpoints",
        "sagemaker.components",
    },
    "autoscaling": {
        *("", "wire", "moto_bridge", "cloudwatch"),
        *("sagemaker", "sagemaker.endpoints", "sagemaker.components"),
    },
    "server": {
        *("", "wire", "moto_bridge", "ecr", "iam", "cloudwatch", "engines"),
        *("sagemaker", "sagemaker.endpoints", "sagemaker.components", "runtime", "autoscaling"),
    },
    # The access key of a server, and the warning of an engine; it starts the server's process and talks to it over HTTP.
    "client": {"server", "engines"},
}
#: The one import from the ground up: ``local`` hands out its public class, which lies on top.
PUBLIC = {(PACKAGE, f"{PACKAGE}.client.local_aws")}
MOST_MODULES = 15


def modules() -> dict[str, Path]:
    """Return all modules of the local AWS by name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join((PACKAGE, *parts)).removesuffix(".__init__")
        found[name] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """Return the modules that a module imports: at its top, in functions and for types only."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


EDGES = {
    name: {other for other in imports(name) if other in MODULES and (name, other) not in PUBLIC} - {name}
    for name in MODULES
}


def folder(name: str) -> str:
    """Return the folder of a module, ``sagemaker.endpoints``; an empty string for modules of ``local`` itself."""
    inside = name.removeprefix(PACKAGE).lstrip(".")
    return inside if MODULES[name].name == "__init__.py" else inside.rpartition(".")[0]


def test_the_table_has_every_folder_and_its_floors_are_one_way() -> None:
    assert {folder(name) for name in MODULES} == set(FLOORS)
    order = list(FLOORS)
    for name, below in FLOORS.items():
        assert all(order.index(other) < order.index(name) for other in below), name


@pytest.mark.parametrize("name", sorted(FLOORS))
def test_a_folder_imports_only_its_floors(name: str) -> None:
    found = {folder(other) for module in MODULES if folder(module) == name for other in EDGES[module]}
    assert found - {name} == FLOORS[name]


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {name: set(others) for name, others in EDGES.items()}
    while free := {name for name, others in left.items() if not others}:
        left = {name: others - free for name, others in left.items() if name not in free}
    assert not left, f"in circles, or above them: {sorted(left)}"


def test_only_the_bridge_imports_moto() -> None:
    found = {
        folder(name)
        for name in MODULES
        if any(other == "moto" or other.startswith("moto.") for other in imports(name))
    }
    assert found == {"moto_bridge"}


def test_no_folder_has_too_many_modules() -> None:
    for name in FLOORS:
        inside = [module for module in MODULES if folder(module) == name and module != PACKAGE]
        assert len(inside) <= MOST_MODULES, name
