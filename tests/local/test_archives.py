from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local.archives import ArchiveError, Budget, apply_layer, unpack_model_archive
from tests.local.conftest import tar_bytes


def member(name: str, kind: Any = tarfile.REGTYPE, linkname: str = "", size: int = 0) -> Any:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, linkname, size
    return info


@pytest.fixture
def folder(tmp_path: Path) -> Any:
    inside = tmp_path / "inside"
    inside.mkdir()
    return inside


def outside(folder: Path) -> Any:
    return [path for path in folder.parent.iterdir() if path != folder]


def test_a_model_archive_is_unpacked(folder: Path) -> None:
    link = member("latest", tarfile.SYMTYPE, "1/weights")
    unpack_model_archive(io.BytesIO(tar_bytes({"1/weights": b"0.5", "latest": link})), folder)
    assert (folder / "1/weights").read_bytes() == (folder / "latest").read_bytes() == b"0.5"


@pytest.mark.parametrize(
    "members",
    [
        {"../escaped": b"x"},
        {"a/../../escaped": b"x"},
        {"/tmp/sm-hosting-escaped": b"x"},
        {"l": member("l", tarfile.SYMTYPE, "/etc/passwd")},
        {"l": member("l", tarfile.SYMTYPE, "../escaped")},
        {"d": member("d", tarfile.SYMTYPE, ".."), "d/escaped": b"x"},
        {"h": member("h", tarfile.LNKTYPE, "../escaped")},
        {"h": member("h", tarfile.LNKTYPE, "/etc/passwd")},
        {"c": member("c", tarfile.CHRTYPE)},
        {"p": member("p", tarfile.FIFOTYPE)},
    ],
)
def test_hostile_model_archives_are_refused_and_write_nothing_outside(
    folder: Path, members: dict[str, Any]
) -> None:
    with pytest.raises(ArchiveError):
        unpack_model_archive(io.BytesIO(tar_bytes(members)), folder)
    assert outside(folder) == []


def test_bombs_are_refused_before_they_are_written(folder: Path) -> None:
    archive = tar_bytes({"zeros": bytes(10_000_000)})
    assert len(archive) < 100_000
    with pytest.raises(ArchiveError, match="too large when unpacked"):
        unpack_model_archive(io.BytesIO(archive), folder, budget=Budget(bytes=1_000_000))
    with pytest.raises(ArchiveError, match="too many members"):
        unpack_model_archive(
            io.BytesIO(tar_bytes({str(i): b"" for i in range(11)})), folder, budget=Budget(members=10)
        )
    assert sum(path.stat().st_size for path in folder.rglob("*")) == 0


@pytest.mark.parametrize("data", [b"", b"not a tar", tar_bytes({"a": b"b" * 1000})[:60]])
def test_broken_archives_are_refused(folder: Path, data: Any) -> None:
    with pytest.raises(ArchiveError, match="cannot be unpacked"):
        unpack_model_archive(io.BytesIO(data), folder)


def test_an_uncompressed_model_archive_is_refused(folder: Path) -> None:
    with pytest.raises(ArchiveError):
        unpack_model_archive(io.BytesIO(tar_bytes({"a": b"b"}, compressed=False)), folder)


def layers(folder: Path, *contents: Any) -> None:
    budget = Budget()
    for content in contents:
        apply_layer(io.BytesIO(tar_bytes(content)), folder, budget=budget)


def test_layers_lie_over_each_other(folder: Path) -> None:
    layers(
        folder,
        {"a/1": b"1", "a/2": b"2", "b/3": b"3", "c": b"c"},
        {"a/.wh.1": b"", "b/.wh..wh..opq": b"", "c": b"new"},
        {"b/4": b"4"},
    )
    assert {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()} == {
        "a/2": b"2",
        "b/4": b"4",
        "c": b"new",
    }


def test_absolute_links_of_an_image_are_meant_from_its_root(folder: Path) -> None:
    layers(
        folder,
        {
            "usr/bin/python3.11": b"py",
            "usr/bin/python3": member("usr/bin/python3", tarfile.SYMTYPE, "/usr/bin/python3.11"),
            "dev/null": member("dev/null", tarfile.CHRTYPE),
        },
    )
    assert (folder / "usr/bin/python3").read_bytes() == b"py"
    assert not (folder / "usr/bin/python3").readlink().is_absolute()


def test_a_file_replaces_a_link_and_is_not_written_through_it(folder: Path) -> None:
    layers(
        folder,
        {"target": b"old", "link": member("link", tarfile.SYMTYPE, "target")},
        {"link": b"new"},
    )
    assert ((folder / "target").read_bytes(), (folder / "link").read_bytes()) == (b"old", b"new")


@pytest.mark.parametrize(
    "content",
    [
        {"../escaped": b"x"},
        {"l": member("l", tarfile.SYMTYPE, "../../escaped")},
        {"d": member("d", tarfile.SYMTYPE, ".."), "d/escaped": b"x"},
        {"d": member("d", tarfile.SYMTYPE, ".."), "d/.wh.keep": b""},
    ],
)
def test_hostile_layers_are_refused(folder: Path, content: dict[str, Any]) -> None:
    keep = folder.parent / "keep"
    keep.touch()
    with pytest.raises(ArchiveError):
        layers(folder, content)
    assert outside(folder) == [keep]
