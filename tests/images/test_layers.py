"""Whiteouts: a layer deletes what is below it, in whatever order its members come, and nothing of its own."""

from __future__ import annotations

import io
import itertools
import tarfile
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.layers import ImageTree, LayerFile, write_layer
from airflow_sm_hosting.local.archives import Budget, apply_layer

BELOW = ["a/1", "a/2", "a/deep/3", "b/1", ".wh", "a.wh.1"]


def layer(names: Any) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.mode = 0o755
            archive.addfile(info)
    return data.getvalue()


def in_tree(*layers: Any) -> set[str]:
    tree = ImageTree()
    for names in layers:
        tree.apply(io.BytesIO(layer(names)))
    return {path.lstrip("/") for path, entry in tree._entries.items() if not entry.is_directory}


def unpacked(folder: Path, *layers: Any) -> set[str]:
    folder.mkdir()
    for names in layers:
        apply_layer(io.BytesIO(layer(names)), folder, budget=Budget())
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("members", "left"),
    [
        (["a/.wh.1"], {"a/2", "a/deep/3", "b/1", ".wh", "a.wh.1"}),
        ([".wh.a"], {"b/1", ".wh", "a.wh.1"}),
        (["a/.wh..wh..opq"], {"b/1", ".wh", "a.wh.1"}),
        # What the layer itself adds stays.
        (["a/.wh..wh..opq", "a/new", "a/deep/"], {"a/new", "b/1", ".wh", "a.wh.1"}),
        (["a/.wh..wh..opq", "a/deep/new"], {"a/deep/new", "b/1", ".wh", "a.wh.1"}),
        ([".wh.a", "a/new"], {"a/new", "b/1", ".wh", "a.wh.1"}),
        (["a/.wh.1", "a/1"], {*BELOW}),
        ([".wh.b", "a/.wh.deep", "b"], {"a/1", "a/2", "b", ".wh", "a.wh.1"}),
        # Names that only look like one.
        ([".wh..wh.aufs", "a/.wh..wh.plnk", "a/1.wh.", "a/x.wh.2"], {*BELOW, "a/1.wh.", "a/x.wh.2"}),
    ],
)
def test_a_whiteout_deletes_what_is_below_in_any_order(
    members: list[str], left: set[str], tmp_path: Path
) -> None:
    for number, order in enumerate(itertools.permutations(members)):
        assert in_tree(BELOW, order) == left, order
        assert unpacked(tmp_path / str(number), BELOW, order) == left, order


@pytest.mark.parametrize("path", ["/app/.wh.config", "/.wh..wh..opq", "/app/.wh.d/file"])
def test_no_layer_of_ours_has_a_name_that_deletes(path: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1")
    file = LayerFile(path, 0o644, content=lambda: source.open("rb"))
    with pytest.raises(ImageBuildError, match=r"cannot be in an image.*'\.wh\.' deletes"):
        write_layer([file], ImageTree(), tmp_path / "layer")


def test_a_name_with_it_in_the_middle_is_written(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"1")
    file = LayerFile("/app/a.wh.b", 0o644, content=lambda: source.open("rb"))
    assert write_layer([file], ImageTree(), tmp_path / "layer").size
