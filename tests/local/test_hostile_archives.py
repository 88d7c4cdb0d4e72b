"""Hostile archives: each is refused by the name of its member, and nothing outside of the folder changes."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.layers import ImageTree
from airflow_sm_hosting.local.archives import Budget, apply_layer, unpack_model_archive
from airflow_sm_hosting.tar_members import BrokenTarError, read_members
from tests.clients.environments import interpreter
from tests.local import hostile_archives
from tests.local.conftest import tar_bytes
from tests.local.hostile_archives import Shape, file, folder, hard, link, model, outcome, shapes, tar

SHAPES = shapes()
ROOT = Path(__file__).parents[2]


def test_the_table_has_its_shapes() -> None:
    assert len(SHAPES) >= 80


@pytest.mark.parametrize("name", SHAPES)
def test_a_hostile_archive_is_refused_by_name_and_changes_nothing_outside(name: str, tmp_path: Path) -> None:
    refusal = outcome(SHAPES[name], tmp_path)
    assert refusal is not None
    assert SHAPES[name].names in refusal


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_python_refuses_the_same(version: str) -> None:
    # Without what is installed for this one: the package must import nothing for it.
    done = subprocess.run(
        [interpreter(version), "-m", hostile_archives.__name__],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["python"].startswith(version)
    assert found["most_memory"] < hostile_archives.MOST_MEMORY
    wrong = {
        name: said
        for name, said in found["outcomes"].items()
        if SHAPES[name].names not in (said or "NOT REFUSED")
    }
    assert not wrong
    assert set(found["outcomes"]) == set(SHAPES)


#: Few names and many links, so that they meet.
PATHS = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", ".wh.a", ".wh..", ".wh..wh..opq"]), min_size=1, max_size=4
).map("/".join)
ENTRIES = st.lists(
    st.one_of(
        st.builds(file, PATHS),
        st.builds(folder, PATHS),
        st.builds(link, PATHS, PATHS),
        st.builds(hard, PATHS, PATHS),
    ),
    min_size=1,
    max_size=8,
)


@given(layers=st.lists(ENTRIES, min_size=1, max_size=3), is_image=st.booleans())
def test_no_order_of_links_files_and_whiteouts_leads_outside(layers: list[list[Any]], is_image: bool) -> None:
    archives = tuple(gzip.compress(tar(*entries), 1) for entries in layers)
    with tempfile.TemporaryDirectory() as base:
        # It asserts that nothing outside changes, and that no link leads there, whether it is refused or not.
        outcome(Shape(archives, "", is_image=is_image), Path(base))


def test_modes_that_give_rights_do_not_survive(tmp_path: Path) -> None:
    archive = model(
        file("tool", mode=0o6755), file("open", mode=0o7666), file("closed", mode=0), names=""
    ).archives[0]
    unpack_model_archive(io.BytesIO(archive), tmp_path)
    modes = {path.name: path.stat().st_mode & 0o7777 for path in tmp_path.iterdir()}
    assert modes == {"tool": 0o755, "open": 0o644, "closed": 0o600}


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    archive = model(
        file("a/weights", b"1"),
        link("current", "a"),
        file("current/more", b"2"),
        link("a/up", "../a/weights"),
        hard("same", "current/weights"),
        link("later", "not/yet"),
        file("not/yet", b"3"),
        names="",
    ).archives[0]
    unpack_model_archive(io.BytesIO(archive), tmp_path)
    assert (tmp_path / "a/more").read_bytes() == b"2"
    assert (tmp_path / "a/up").read_bytes() == (tmp_path / "same").read_bytes() == b"1"
    assert (tmp_path / "later").read_bytes() == b"3"


def test_a_file_that_is_written_twice_does_not_change_what_is_linked_to_it(tmp_path: Path) -> None:
    archive = model(file("a", b"1"), hard("b", "a"), file("a", b"2"), names="").archives[0]
    unpack_model_archive(io.BytesIO(archive), tmp_path)
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"2", b"1"]


def test_an_absolute_link_below_a_linked_folder_leads_to_where_the_image_has_it(tmp_path: Path) -> None:
    budget = Budget()
    layers = (
        [file("usr/bin/python3.11", b"py"), link("bin", "usr/bin")],
        [link("bin/python", "/usr/bin/python3.11")],
    )
    for layer in layers:
        apply_layer(io.BytesIO(tar(*layer)), tmp_path, budget=budget)
    assert (tmp_path / "usr/bin/python").read_bytes() == b"py"
    assert (tmp_path / "bin").is_symlink()


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "a/.wh...", "a/.wh."])
def test_an_odd_whiteout_in_a_base_image_is_an_error(name: str) -> None:
    tree = ImageTree()
    tree.apply(io.BytesIO(tar_bytes({"a/b": b"x"})))
    with pytest.raises(ImageBuildError, match=r"whiteout of no name"):
        tree.apply(io.BytesIO(tar_bytes({name: b""})))
    assert tree.is_directory("/")


@pytest.mark.parametrize(
    "name", sorted(name for name in SHAPES if "bomb" in name or "size" in name or "pax" in name)
)
def test_reading_a_base_image_ends_with_an_error_or_its_end(name: str) -> None:
    try:
        ImageTree().apply(io.BytesIO(SHAPES[name].archives[0]))
    except ImageBuildError as error:
        assert "cannot be read" in str(error)  # noqa: PT017 - others end without one


def test_no_list_of_members_is_kept() -> None:
    data = tar(*(file(f"f{number}", b"") for number in range(500)))
    counts = [len(vars(archive)["members"]) for archive, _ in read_members(io.BytesIO(data))]
    assert (len(counts), max(counts)) == (500, 0)


@pytest.mark.parametrize("data", [b"", b"x" * 1024, bytes(100)])
def test_what_is_no_archive_is_an_error(data: bytes) -> None:
    with pytest.raises(BrokenTarError):
        list(read_members(io.BytesIO(data)))


def test_ordinary_archives_of_each_format_are_read(tmp_path: Path) -> None:
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers={"comment": "1"}) as archive:
            for name in ("ä" * 40, "d/" * 60 + "f" * 20):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = 1, 1_234.5
                archive.addfile(info, io.BytesIO(b"x"))
        buffer.seek(0)
        assert [member.name for _, member in read_members(buffer)] == ["ä" * 40, "d/" * 60 + "f" * 20]
