from __future__ import annotations

import gzip
import hashlib
import io
import os
import socket
import subprocess
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.artifacts.packing import content_sha256, pack, pack_stream
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "code").mkdir(parents=True)
    (folder / "model.json").write_text('{"weights": [1, 2]}')
    (folder / "code" / "inference.py").write_text("print('hello')\n")
    return folder


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_a_folders_content_is_at_the_root_of_the_archive(model: Path, workdir: Path) -> None:
    packed = pack(model, workdir=workdir)
    assert packed.temporary
    assert packed.path.parent == workdir
    assert packed.path.name.endswith(".tar.gz")
    assert packed.size == packed.path.stat().st_size
    with tarfile.open(packed.path) as archive:
        assert archive.getnames() == ["code", "code/inference.py", "model.json"]
        content = archive.extractfile("model.json")
        assert content is not None
        assert content.read() == b'{"weights": [1, 2]}'


def test_gnu_tar_and_gzip_read_the_archive(model: Path, workdir: Path) -> None:
    (model / ("n" * 120)).write_text("a name longer than the tar header's field")
    (model / "größe.txt").write_text("x")
    packed = pack(model, workdir=workdir)
    subprocess.run(["gzip", "-t", packed.path], check=True)
    unpacked = workdir / "unpacked"
    unpacked.mkdir()
    subprocess.run(["tar", "-xzf", packed.path, "-C", unpacked], check=True)
    assert sorted(path.name for path in unpacked.iterdir()) == sorted(path.name for path in model.iterdir())
    assert (unpacked / "größe.txt").read_text() == "x"


def test_times_owners_and_other_modes_do_not_count(model: Path, workdir: Path) -> None:
    first = pack(model, workdir=workdir)
    os.utime(model / "model.json", (0, 0))
    (model / "model.json").chmod(0o600)
    second = pack(model, workdir=workdir)
    assert first.sha256 == second.sha256
    assert first.path.read_bytes() == second.path.read_bytes()
    with tarfile.open(second.path) as archive:
        for member in archive:
            assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
            assert member.mode == (0o755 if member.isdir() else 0o644)


def test_the_executable_bit_counts(model: Path, workdir: Path) -> None:
    before = pack(model, workdir=workdir).sha256
    (model / "code" / "inference.py").chmod(0o755)
    assert pack(model, workdir=workdir).sha256 != before


trees = st.dictionaries(
    st.from_regex(r"[a-z]{1,3}(/[d-f]{1,2}\.x)?", fullmatch=True),
    st.binary(max_size=2000),
    min_size=1,
    max_size=6,
).filter(lambda tree: not any(a != b and b.startswith(f"{a}/") for a in tree for b in tree))


def _write(folder: Path, tree: dict[str, bytes], *, backwards: bool) -> None:
    for name in sorted(tree, reverse=backwards):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tree[name])


@given(tree=trees)
def test_equal_folders_give_equal_archives_and_different_ones_different(
    tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("trees")
    for place, backwards in (("one", False), ("two", True)):
        _write(base / place, tree, backwards=backwards)
    (base / "work").mkdir()
    one, two = (pack(base / place, workdir=base / "work") for place in ("one", "two"))
    assert one.sha256 == two.sha256 == content_sha256(base / "one")
    assert one.path.read_bytes() == two.path.read_bytes()
    with gzip.open(one.path) as stream:
        assert hashlib.sha256(stream.read()).hexdigest() == one.sha256
    with tarfile.open(one.path) as archive:
        unpacked = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}
    assert unpacked == tree
    changed = sorted(tree)[0]
    (base / "two" / changed).write_bytes(tree[changed] + b"!")
    assert pack(base / "two", workdir=base / "work").sha256 != one.sha256


def test_a_link_inside_is_replaced_by_what_it_points_to(model: Path, workdir: Path) -> None:
    (model / "latest.json").symlink_to("model.json")
    (model / "src").symlink_to(model / "code")
    with tarfile.open(pack(model, workdir=workdir).path) as archive:
        assert not any(member.issym() or member.islnk() for member in archive)
        content = archive.extractfile("latest.json")
        assert content is not None
        assert content.read() == b'{"weights": [1, 2]}'
        assert "src/inference.py" in archive.getnames()


def test_a_link_out_of_the_folder_is_refused_by_name(model: Path, workdir: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not yours")
    (model / "weights.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelDataError, match=r"'weights.bin'.*points out of the folder"):
        pack(model, workdir=workdir)
    assert list(workdir.iterdir()) == []


def test_a_link_to_a_folder_whose_name_starts_alike_is_out(
    model: Path, workdir: Path, tmp_path: Path
) -> None:
    (tmp_path / "model-old").mkdir()
    (tmp_path / "model-old" / "x").write_text("x")
    (model / "old").symlink_to(tmp_path / "model-old")
    with pytest.raises(ModelDataError, match="points out of the folder"):
        pack(model, workdir=workdir)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere", "points to a missing file"),
        ("..", "points to one of its parent folders"),
        (".", "points to one of its parent folders"),
    ],
)
def test_a_dangling_or_circular_link_is_refused(
    model: Path, workdir: Path, target: str, message: str
) -> None:
    (model / "code" / "link").symlink_to(target)
    with pytest.raises(ModelDataError, match=f"'code/link'.*{message}"):
        pack(model, workdir=workdir)


def test_special_files_are_refused(model: Path, workdir: Path) -> None:
    os.mkfifo(model / "pipe")
    with pytest.raises(ModelDataError, match=r"'pipe'.*not a file, a folder or a link"):
        pack(model, workdir=workdir)
    (model / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(model / "s"))
        with pytest.raises(ModelDataError, match=r"'s'.*not a file, a folder or a link"):
            pack(model, workdir=workdir)


def test_a_folder_without_a_file_is_refused(workdir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    with pytest.raises(ModelDataError, match="contains no file"):
        pack(tmp_path / "empty", workdir=workdir)
    with pytest.raises(ModelDataError, match="contains no file"):
        content_sha256(tmp_path / "empty")


@pytest.mark.parametrize("name", ["model.tar.gz", "Model.TAR.GZ"])
def test_an_archive_is_taken_as_it_is(model: Path, workdir: Path, tmp_path: Path, name: str) -> None:
    archive = tmp_path / name
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(model / "model.json", "model.json")
    packed = pack(archive, workdir=workdir)
    assert packed.path == archive
    assert packed.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest() == content_sha256(archive)
    assert (packed.size, packed.temporary) == (archive.stat().st_size, False)
    assert list(workdir.iterdir()) == []


def test_a_folder_named_like_an_archive_is_a_folder(model: Path, workdir: Path, tmp_path: Path) -> None:
    named = model.rename(tmp_path / "model.tar.gz")
    assert pack(named, workdir=workdir).temporary


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.tar", b"", r"does not end with \.tar\.gz"),
        ("model.tgz", gzip.compress(b"x", mtime=0), r"does not end with \.tar\.gz"),
        ("model.tar.gz", b"plain", "not compressed with gzip"),
        ("model.tar.gz", b"", "not compressed with gzip"),
        ("model.tar.gz", gzip.compress(b"no tar" * 200, mtime=0), "does not contain a tar file"),
        ("model.tar.gz", b"\x1f\x8bbroken", "does not contain a tar file"),
        ("model.tar.gz", gzip.compress(bytes(10240), mtime=0), "empty archive"),
    ],
)
def test_another_file_is_refused_with_what_is_allowed(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidSpecError, match=f"(?s){name}.*{message}.*or a folder"):
        pack(tmp_path / name, workdir=tmp_path)


def test_what_does_not_exist_is_named_with_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSpecError, match=f"{tmp_path}/nothing does not exist"):
        pack("nothing", workdir=tmp_path)


@pytest.mark.slow
def test_memory_is_flat_in_the_size(tmp_path: Path, workdir: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    tracemalloc.start()
    try:
        packed = pack(folder, workdir=workdir)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert packed.size < 200 * 1024 * 1024
    assert peak < 8 * 1024 * 1024


def test_a_stream_is_named_by_its_content_before_compression(workdir: Path) -> None:
    content = os.urandom(1000) + bytes(3_000_000)
    packed = pack_stream(io.BytesIO(content), workdir=workdir)
    assert packed.sha256 == hashlib.sha256(content).hexdigest()
    assert gzip.decompress(packed.path.read_bytes()) == content
    assert packed.checksums.crc32 == zlib.crc32(packed.path.read_bytes())
    assert (packed.size, packed.temporary) == (packed.path.stat().st_size, True)
    again = pack_stream(io.BytesIO(content), workdir=workdir)
    assert again.path != packed.path
    assert again.path.read_bytes() == packed.path.read_bytes()
