"""The one read of an archive: every kind of damage and danger is named, and what is whole is hashed."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError

Member = tuple[str, bytes | str | None]


def zipped(data: bytes, level: int = 9) -> bytes:
    """Return the bytes compressed, without the time: they are in the names of tests."""
    return gzip.compress(data, level, mtime=0)


RANDOM = random.Random(7).randbytes(300_000)


def tar(*members: Member, kinds: dict[str, bytes] | None = None, form: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a tar file: bytes are a file, a text is a link's target, None is a folder."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            info.type = (kinds or {}).get(name, info.type)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return data.getvalue()


def checked(data: bytes, folder: Path, name: str = "model.tar.gz") -> tuple[str, int, int]:
    path = folder / name
    path.write_bytes(data)
    found = pack(path, workdir=folder)
    return found.sha256, found.checksums.crc32, found.size


WHOLE = tar(("code", None), ("code/inference.py", b"print()"), ("weights", RANDOM))
ZIPPED = zipped(WHOLE, 1)


@pytest.mark.parametrize(
    "data",
    [
        ZIPPED,
        zipped(WHOLE, 9),
        zipped(tar(("m", b"1"), form=tarfile.PAX_FORMAT)),
        zipped(tar(("m" * 300, b"1"))),
        zipped(tar(("./model/m", b"1"), ("./model/link", "m"))),
        zipped(tar(("a/b/m", b"1"), ("a/link", "b/../b/m"))),
        zipped(tar(("m", b"1"), ("h", "m"), kinds={"h": tarfile.LNKTYPE})),
        zipped(tar(("m", b""))),
        zipped(tar(("v1/m", b"1"), ("current", "v1"), ("latest", "current"), ("latest/n", b"1"))),
        zipped(tar(("label", b""), ("d", b""), ("d/m", b"1"), kinds={"label": b"V", "d": b"D"})),
        zipped(tar(("m", b"1"), ("extra.tar.gz", b"1"))),
        # Made in pieces, as pigz and bgzip do; and padded.
        zipped(WHOLE[:1000]) + zipped(WHOLE[1000:]),
        ZIPPED + bytes(1000),
        zipped(WHOLE + bytes(100_000)),
    ],
)
def test_a_whole_archive_is_hashed(data: bytes, tmp_path: Path) -> None:
    assert checked(data, tmp_path) == (hashlib.sha256(data).hexdigest(), zlib.crc32(data), len(data))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def with_byte(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


BAD: dict[str, tuple[bytes, str]] = {
    "cut in its last byte": (ZIPPED[:-1], "is incomplete"),
    "cut in the middle": (ZIPPED[: len(ZIPPED) // 2], "is incomplete"),
    "cut at a block": (ZIPPED[:65536], "is incomplete"),
    "a flipped bit": (flipped(ZIPPED, len(ZIPPED) // 2), "is damaged"),
    "another checksum": (flipped(ZIPPED, len(ZIPPED) - 6), "is damaged"),
    "another length": (flipped(ZIPPED, len(ZIPPED) - 3), "is damaged"),
    "text behind it": (ZIPPED + b"<html>", "is damaged"),
    "its tar file is cut": (zipped(WHOLE[:100_000]), "is incomplete|is damaged"),
    "a damaged header inside": (zipped(with_byte(WHOLE, 512 + 148, 0xFF)), "is damaged"),
    "something behind the end": (zipped(WHOLE + b"x" * 512), "something behind its last member"),
    "an absolute path": (zipped(tar(("/etc/passwd", b"1"))), "leads out of the folder"),
    "a path upwards": (zipped(tar(("a/../../m", b"1"))), "leads out of the folder"),
    "a link upwards": (
        zipped(tar(("m", b"1"), ("link", "../../etc"))),
        "'link' leads out of the folder",
    ),
    "an absolute link": (zipped(tar(("m", b"1"), ("link", "/etc"))), "'link' leads out of the folder"),
    "a hard link upwards": (
        zipped(tar(("m", b"1"), ("h", "../m"), kinds={"h": tarfile.LNKTYPE})),
        "'h' leads out of the folder",
    ),
    "a chain of links": (
        zipped(tar(("dir/link", ".."), ("y", "dir/link/.."), ("y/evil", b"1"))),
        "'y' leads out of the folder",
    ),
    "a file through a link": (
        zipped(tar(("a/up", ".."), ("a/up/b", b"1"), ("a/up/../c", b"1"))),
        "'a/up/../c' leads out of the folder",
    ),
    "links in a circle": (
        zipped(tar(("m", b"1"), ("a", "b"), ("b", "a"), ("c", "a"))),
        "'c' leads out|'b' leads out",
    ),
    "a device": (zipped(tar(("d", b""), kinds={"d": tarfile.CHRTYPE})), "'d' is not a file"),
    "a pipe": (zipped(tar(("p", b""), kinds={"p": tarfile.FIFOTYPE})), "'p' is not a file"),
    "an archive within": (
        zipped(tar(("model.tar.gz", ZIPPED))),
        "nothing but the archive 'model.tar.gz'",
    ),
    "an archive in a folder within": (
        zipped(tar(("output", None), ("output/model.tgz", ZIPPED))),
        "nothing but the archive 'output/model.tgz'",
    ),
    "a plain file": (zipped(RANDOM), "does not contain a tar file"),
    "no gzip": (WHOLE, "not compressed with gzip"),
    "nothing": (b"", "not compressed with gzip"),
    "an empty tar": (zipped(tar()), "empty archive"),
    "folders only": (zipped(tar(("a", None))), "empty archive"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_archive_is_refused_with_the_cause(name: str, tmp_path: Path) -> None:
    data, words = BAD[name]
    with pytest.raises((InvalidSpecError, ModelDataError), match=words) as caught:
        checked(data, tmp_path)
    assert str(tmp_path / "model.tar.gz") in str(caught.value)


@given(at=st.integers(0, len(ZIPPED) - 1))
def test_a_cut_anywhere_is_noticed(at: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises((InvalidSpecError, ModelDataError)):
        checked(ZIPPED[:at], tmp_path_factory.getbasetemp())


@pytest.mark.slow
def test_memory_does_not_grow_with_the_archive(tmp_path: Path) -> None:
    """Neither with one large file, which compresses well, nor with many small ones."""
    many = [(f"m{number}", b"1") for number in range(20_000)]

    def peak(data: bytes) -> int:
        tracemalloc.start()
        checked(data, tmp_path)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    large, small = zipped(tar(("m", bytes(64_000_000))), 1), zipped(tar(*many), 1)
    assert peak(large) < 16_000_000
    assert peak(small) < 16_000_000


def test_a_folder_with_nothing_but_an_archive_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "model.tar.gz").write_bytes(ZIPPED)
    with pytest.raises(
        ModelDataError, match=r"holds nothing but the archive 'model.tar.gz'.*give that file itself"
    ):
        pack(folder, workdir=tmp_path)
    (folder / "more.txt").write_text("x")
    assert pack(folder, workdir=tmp_path).temporary
