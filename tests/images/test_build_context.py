from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.recipe import BuildRecipe

Write = Callable[..., Path]


def _paths(folder: Path, **options: str) -> list[str]:
    return [file.path for file in BuildContext(folder, **options).files()]


def test_files_are_sorted_and_what_is_ignored_is_left_out(write: Write) -> None:
    folder = write(
        {"Dockerfile": "FROM x", ".dockerignore": "*.pyc\ndata\n!data/keep", "b.py": "", "a.pyc": ""}
    )
    for name in ("data/drop", "data/keep", "z/a.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    (folder / "empty").mkdir()
    assert _paths(folder) == [
        ".dockerignore",
        "Dockerfile",
        "b.py",
        "data",
        "data/keep",
        "empty",
        "z",
        "z/a.pyc",
    ]


def test_the_dockerfile_and_the_dockerignore_are_kept_for_the_build_only(write: Write) -> None:
    folder = write({"docker/Dockerfile": "FROM x", ".dockerignore": "*", "a": ""})
    files = BuildContext(folder, dockerfile="docker/Dockerfile").files()
    assert [(file.path, file.only_for_build) for file in files] == [
        (".dockerignore", True),
        ("docker", True),
        ("docker/Dockerfile", True),
    ]


def test_a_dockerignore_of_the_dockerfiles_own_comes_first(write: Write) -> None:
    folder = write({"gpu": "FROM x", "gpu.dockerignore": "a", ".dockerignore": "b", "a": "", "b": ""})
    assert _paths(folder, dockerfile="gpu") == [".dockerignore", "b", "gpu", "gpu.dockerignore"]


def test_what_is_missing_is_named_with_its_absolute_path(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write({"a": ""})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSpecError, match=f"{tmp_path}/nothing does not exist"):
        BuildContext("nothing")
    with pytest.raises(InvalidSpecError, match=f"{folder}/a is a file"):
        BuildContext(folder / "a")
    with pytest.raises(InvalidSpecError, match=f"{folder}/Dockerfile does not exist"):
        BuildContext("context")
    with pytest.raises(InvalidSpecError, match="outside"):
        BuildContext(folder, dockerfile="../Dockerfile")


def test_a_pipe_is_refused_and_a_socket_left_out(write: Write) -> None:
    folder = write({"Dockerfile": "FROM x"})
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(folder / "s"))
        assert _paths(folder) == ["Dockerfile"]
    os.mkfifo(folder / "pipe")
    with pytest.raises(InvalidSpecError, match="pipe is a pipe"):
        _paths(folder)


trees = st.dictionaries(
    st.from_regex(r"[a-z]{1,2}(/[d-f]\.x)?", fullmatch=True),
    st.tuples(st.binary(max_size=300), st.booleans()),
    max_size=5,
).filter(lambda tree: not any(a != b and b.startswith(f"{a}/") for a in tree for b in tree))


@given(tree=trees)
def test_the_fingerprint_and_the_tar_depend_on_content_alone(
    tree: dict[str, tuple[bytes, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("trees")
    contexts = []
    for place, backwards in (("one", False), ("two", True)):
        (base / place).mkdir()
        (base / place / "Dockerfile").write_text("FROM x")
        for number, name in enumerate(sorted(tree, reverse=backwards)):
            path = base / place / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(tree[name][0])
            path.chmod((0o755 if backwards else 0o700) if tree[name][1] else (0o644 if backwards else 0o600))
            os.utime(path, (number, number))
        contexts.append(BuildContext(base / place))
    one, two = contexts
    assert one.fingerprint() == two.fingerprint()
    with one.tar() as first, two.tar() as second:
        assert first.read() == second.read()
    if tree:
        name = sorted(tree)[-1]
        (base / "two" / name).write_bytes(tree[name][0] + b"!")
        assert BuildContext(base / "two").fingerprint() != one.fingerprint()
        (base / "two" / name).write_bytes(tree[name][0])
        (base / "two" / name).chmod(0o600 if tree[name][1] else 0o700)
        assert BuildContext(base / "two").fingerprint() != one.fingerprint()


def test_names_kinds_and_targets_count(write: Write) -> None:
    seen = set()
    base = {"Dockerfile": "FROM x"}

    def add(folder: Path) -> None:
        fingerprint = BuildContext(folder).fingerprint()
        assert fingerprint not in seen
        seen.add(fingerprint)

    add(write(base, "1"))
    add(write({**base, "a": "b"}, "2"))
    add(write({**base, "b": "b"}, "3"))
    add(write({**base, "x a": "b"}, "4"))
    add(write({**base, "a/b": ""}, "5"))
    (write(base, "6") / "a").mkdir()
    add(write(base, "6"))
    for number, target in (("7", "b"), ("8", "c")):
        (write(base, number) / "a").symlink_to(target)
        add(write(base, number))


def test_the_options_of_the_build_count_and_the_ignored_does_not(write: Write) -> None:
    folder = write({"Dockerfile": "FROM x", ".dockerignore": "junk", "junk": "1"})
    context = BuildContext(folder)
    options = [
        {},
        {"build_args": {"A": "1"}},
        {"build_args": {"A": "2"}},
        {"labels": {"A": "1"}},
        {"target": "a"},
        {"platform": "linux/arm64"},
        {"extra": ["a"]},
    ]
    assert len({context.fingerprint(**each) for each in options}) == len(options)
    assert context.fingerprint(build_args={"A": "1", "B": "2"}) == context.fingerprint(
        build_args={"B": "2", "A": "1"}
    )
    (folder / "junk").write_text("2")
    assert BuildContext(folder).fingerprint() == context.fingerprint()


def test_the_fingerprint_does_not_change_with_the_package(write: Write) -> None:
    folder = write({"Dockerfile": "FROM scratch\n", "x run": "#!/bin/sh\n", "d/f": "text"})
    (folder / "link").symlink_to("d/f")
    recipe = BuildRecipe(BuildContext(folder), build_args={"A": "1"}, labels={"l": "v"})
    assert recipe.fingerprint() == "bb6695591918680464f734d2317994a2188df7740a6f40954a3dae19620c5fa9"


def test_a_recipe_does_not_show_its_build_args(write: Write) -> None:
    recipe = BuildRecipe(BuildContext(write({"Dockerfile": "FROM x"})), build_args={"TOKEN": "s3cret"})
    assert "s3cret" not in repr(recipe)


def test_the_tar_holds_files_links_and_folders(write: Write) -> None:
    folder = write({"Dockerfile": "FROM x", "x run": "go"})
    (folder / "link").symlink_to("run")
    (folder / "empty").mkdir()
    with BuildContext(folder).tar() as file, tarfile.open(fileobj=file) as archive:
        members = {member.name: member for member in archive}
        assert sorted(members) == ["Dockerfile", "empty", "link", "run"]
        assert (members["run"].mode, members["Dockerfile"].mode) == (0o755, 0o644)
        assert members["link"].linkname == "run"
        assert members["empty"].isdir()


IGNORES = [
    "*.pyc\n",
    "**/*.pyc\n/a/\n",
    "a\n!a/keep.txt\n",
    "*\n!b\n!c/d\n",
    "**/b\nc/**/x*\n!c/d/x1.txt\n",
    "*.txt\n!k*.txt\nkeep.txt\n",
    "Dockerfile\n.dockerignore\n# c\n\n[ab]\n",
    "a/*\n!a/b\na/b/*.pyc\n",
]


@pytest.mark.engine
@pytest.mark.parametrize("ignore", IGNORES)
def test_the_context_is_what_docker_sends(
    write: Write, engine: docker.DockerClient, tmp_path: Path, ignore: str
) -> None:
    program = shutil.which("docker")
    if program is None:
        pytest.skip("the docker command, which this test compares with, is not installed")
    folder = write({"Dockerfile": "FROM scratch\nCOPY . /\n", ".dockerignore": ignore})
    for name in (
        "a/keep.txt",
        "a/b/x.pyc",
        "a/b/y",
        "b/b/z",
        "b.pyc",
        "c/d/x1.txt",
        "c/e/x2.txt",
        "keep.txt",
        "k.txt",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "empty").mkdir()
    built = subprocess.run(
        [program, "build", "-q", str(folder)],
        env={**os.environ, "DOCKER_BUILDKIT": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    image = built.stdout.strip()
    container = engine.containers.create(image, command=["none"])
    try:
        exported = tmp_path / "exported.tar"
        exported.write_bytes(b"".join(container.export()))
    finally:
        container.remove()
        engine.images.remove(image, force=True)
    with tarfile.open(exported) as archive:
        sent = {member.name.rstrip("/") for member in archive}
    made_by_the_engine = {".dockerenv", "dev", "dev/console", "dev/pts", "dev/shm", "etc", "proc", "sys"} | {
        f"etc/{name}" for name in ("hostname", "hosts", "mtab", "resolv.conf")
    }
    ours = {file.path for file in BuildContext(folder).files() if not file.only_for_build}
    assert ours == sent - made_by_the_engine


def test_a_dockerfile_that_leads_out_of_the_folder_is_refused(tmp_path: Path, write: Write) -> None:
    """An engine gets only the folder, and a change there would not be noticed."""
    folder = write({"f": "1"})
    shared = tmp_path / "Dockerfile.common"
    shared.write_text("FROM scratch\n")
    (folder / "Dockerfile").symlink_to(shared)
    with pytest.raises(
        InvalidSpecError, match=r"Dockerfile is a symbolic link that leads out .*Dockerfile\.common"
    ):
        BuildContext(folder)
    outside = tmp_path / "docker"
    outside.mkdir()
    (outside / "Dockerfile").write_text("FROM scratch\n")
    (folder / "linked").symlink_to(outside)
    with pytest.raises(InvalidSpecError, match="leads out of the build directory"):
        BuildContext(folder, dockerfile="linked/Dockerfile")


def test_the_folder_itself_may_be_a_link(tmp_path: Path, write: Write) -> None:
    folder = write({"Dockerfile": "FROM scratch\n"})
    (tmp_path / "link").symlink_to(folder)
    assert BuildContext(tmp_path / "link").fingerprint() == BuildContext(folder).fingerprint()


@pytest.mark.parametrize("ignored", ["", "real"])
def test_what_a_linked_dockerfile_says_is_in_the_fingerprint(write: Write, ignored: str) -> None:
    folder = write({"real": "FROM scratch\nENV V=1\n", ".dockerignore": ignored})
    (folder / "Dockerfile").symlink_to("real")
    before = BuildContext(folder).fingerprint()
    (folder / "real").write_text("FROM scratch\nENV V=2\n")
    assert BuildContext(folder).fingerprint() != before


def test_scripts_whose_first_line_ends_with_a_carriage_return_are_found(write: Write) -> None:
    folder = write(
        {
            "Dockerfile": "FROM scratch\r\nCOPY . /\r\n",
            "serve": "#!/usr/bin/env python3\r\nprint()\r\n",
            "bin/start": "#!/bin/sh\r\n",
            "fine": "#!/bin/sh\necho\r\n",
            # Read after "serve" into the same buffer.
            "shorter": "#!/bin/sh",
            "module.py": "import os\r\n",
            "empty": "",
            "weights": "#!" + "x" * 300 + "\r\n",
        }
    )
    context = BuildContext(folder)
    for _ in range(2):
        context.fingerprint()
        assert context.scripts_with_carriage_return == ["bin/start", "serve"]


@pytest.mark.parametrize(
    ("dockerfile", "build_args", "hosts"),
    [
        ("FROM scratch\n", {}, set()),
        ("FROM python:3.11\n", {}, set()),
        (
            "FROM host.example/a/b:1 AS one\nFROM --platform=linux/amd64 localhost:5000/c\n",
            {},
            {"host.example", "localhost:5000"},
        ),
        ("ARG BASE=host.example/a\nFROM $BASE\n", {}, {"host.example"}),
        ("ARG BASE=host.example/a\nFROM ${BASE}\n", {"BASE": "other.example/a"}, {"other.example"}),
        ("ARG HOST\nARG TAG=1\nFROM ${HOST}/a:${TAG}\n", {"HOST": "host.example"}, {"host.example"}),
        ("FROM scratch\nCOPY --from=host.example/a:1 --chown=1 /a /a\n", {}, {"host.example"}),
        ("FROM scratch\nRUN --mount=type=bind,from=host.example/a,target=/a true\n", {}, {"host.example"}),
        ("FROM scratch\nCOPY <<EOF /f\n${\nEOF\n", {}, set()),
    ],
)
def test_the_registries_that_a_dockerfile_reads_from(
    dockerfile: str, build_args: dict[str, str], hosts: set[str], write: Write
) -> None:
    recipe = BuildRecipe(BuildContext(write({"Dockerfile": dockerfile})), build_args=build_args)
    assert recipe.registries() == hosts
