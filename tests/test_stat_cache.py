"""What is remembered of files is what reading them again would say, whatever happens to them or to the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from airflow_sm_hosting import stat_cache
from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.stat_cache import MOST_ENTRIES, RECENT, StatCache, remembered

TREE = {"Dockerfile": "FROM scratch\n", "a.py": "1", "sub/b.py": "2", "sub/c.py": "3", "out/d": "4"}


@pytest.fixture
def cache(tmp_path: Path) -> StatCache:
    return StatCache(tmp_path / "cache")


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled as soon as they are written; :func:`tick` keeps apart what happens to them."""
    monkeypatch.setattr(stat_cache, "RECENT", -(10**18))


def tick(folder: Path) -> None:
    """Wait until the file system's clock has gone on, so that the next change has another ctime."""
    probe = folder.parent / "probe"
    probe.touch()
    before = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == before:
        probe.touch()


def write_tree(folder: Path) -> Path:
    for name, content in TREE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


class Counted:
    """Counts how often files are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        read = BuildContext._read_all

        def counted(self_: BuildContext, head: str) -> str:
            self.reads += 1
            return read(self_, head)

        monkeypatch.setattr(BuildContext, "_read_all", counted)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_an_unchanged_folder_is_not_read_again(tmp_path: Path, cache: StatCache, counted: Counted) -> None:
    folder = write_tree(tmp_path / "app")
    (folder / "run.sh").write_text("#!/bin/sh\r\n")
    first = BuildContext(folder, cache=cache)
    fingerprint = first.fingerprint()
    again = BuildContext(folder, cache=cache)
    assert again.fingerprint() == fingerprint
    assert again.scripts_with_carriage_return == first.scripts_with_carriage_return == ["run.sh"]
    assert counted.reads == 1
    assert BuildContext(folder).fingerprint() == fingerprint


def same_size_and_mtime(folder: Path) -> None:
    before = (folder / "a.py").stat()
    (folder / "a.py").write_text("9")
    os.utime(folder / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))


def link_in_place(folder: Path) -> None:
    (folder / "a.py").unlink()
    (folder / "a.py").symlink_to("sub/b.py")


def touch_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path)


CHANGES: dict[str, tuple[Callable[[Path], Any], bool]] = {
    "a rewrite with the same size and a restored mtime": (same_size_and_mtime, True),
    "another file of the same size in its place": (
        lambda folder: ((folder / "new").write_text("9"), (folder / "new").rename(folder / "a.py")),
        True,
    ),
    "a new file": (lambda folder: (folder / "sub" / "new").write_text(""), True),
    "a removed file": (lambda folder: (folder / "a.py").unlink(), True),
    "a renamed file": (lambda folder: (folder / "a.py").rename(folder / "z.py"), True),
    "two files that changed places": (
        lambda folder: (
            (folder / "a.py").rename(folder / "x"),
            (folder / "sub" / "b.py").rename(folder / "a.py"),
            (folder / "x").rename(folder / "sub" / "b.py"),
        ),
        True,
    ),
    "a new empty folder": (lambda folder: (folder / "empty").mkdir(), True),
    "an executable bit": (lambda folder: (folder / "a.py").chmod(0o755), True),
    "a link in place of a file": (
        link_in_place,
        True,
    ),
    "a new .dockerignore": (lambda folder: (folder / ".dockerignore").write_text("out\n"), True),
    "touched times": (touch_all, False),
    "nothing": (lambda folder: None, False),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(tmp_path: Path, cache: StatCache, change: str) -> None:
    folder = write_tree(tmp_path / "app")
    before = BuildContext(folder, cache=cache).fingerprint()
    tick(folder)
    do, is_another = CHANGES[change]
    do(folder)
    after = BuildContext(folder, cache=cache).fingerprint()
    assert after == BuildContext(folder).fingerprint()
    assert (after != before) is is_another


def test_a_linked_dockerfile_is_read_where_its_folder_is_excluded(tmp_path: Path, cache: StatCache) -> None:
    folder = write_tree(tmp_path / "app")
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile").symlink_to("out/d")
    (folder / ".dockerignore").write_text("out\n")
    before = BuildContext(folder, cache=cache).fingerprint()
    tick(folder)
    (folder / "out" / "d").write_text("FROM b\n")
    assert BuildContext(folder, cache=cache).fingerprint() not in {before, ""}


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_patterns_that_stand_elsewhere_are_seen_to_change(
    tmp_path: Path, cache: StatCache, name: str
) -> None:
    folder = write_tree(tmp_path / "app")
    shared = tmp_path / "shared"
    shared.write_text("")
    (folder / name).symlink_to(shared)
    before = BuildContext(folder, cache=cache).fingerprint()
    tick(folder)
    shared.write_text("a.py\n")
    assert BuildContext(folder, cache=cache).fingerprint() != before


def test_a_link_of_model_data_that_leads_elsewhere_now_is_seen(tmp_path: Path, cache: StatCache) -> None:
    model = tmp_path / "m"
    for version in ("v1", "v2"):
        (model / version).mkdir(parents=True)
        (model / version / "w").write_text(version)
    (tmp_path / "latest").symlink_to(model / "v1")
    (model / "w").symlink_to("../latest/w")
    before = pack(model, workdir=tmp_path, cache=cache).sha256
    assert pack(model, workdir=tmp_path, cache=cache).sha256 == before
    (tmp_path / "latest").unlink()
    (tmp_path / "latest").symlink_to(model / "v2")
    assert pack(model, workdir=tmp_path, cache=cache).sha256 != before


def test_what_an_excluded_folder_has_costs_nothing(
    tmp_path: Path, cache: StatCache, counted: Counted
) -> None:
    folder = write_tree(tmp_path / "app")
    (folder / ".dockerignore").write_text("out\n")
    BuildContext(folder, cache=cache).fingerprint()
    tick(folder)
    (folder / "out" / "d").write_text("changed")
    BuildContext(folder, cache=cache).fingerprint()
    assert counted.reads == 1


@settings(max_examples=20)
@given(st.lists(st.sampled_from(sorted(CHANGES)), max_size=4))
def test_after_any_changes_it_is_what_reading_says(
    tmp_path_factory: pytest.TempPathFactory, changes: list[str]
) -> None:
    base = tmp_path_factory.mktemp("any")
    cache, folder = StatCache(base / "cache"), write_tree(base / "app")
    for change in changes:
        BuildContext(folder, cache=cache).fingerprint()
        tick(folder)
        try:
            CHANGES[change][0](folder)
        except OSError:
            continue  # an earlier change has removed what this one is about
        assert BuildContext(folder, cache=cache).fingerprint() == BuildContext(folder).fingerprint()


def test_a_file_that_has_just_changed_is_read_again(
    tmp_path: Path, cache: StatCache, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may change once more within the same tick of its file system's clock, and no status would show it."""
    monkeypatch.setattr(stat_cache, "RECENT", RECENT)
    folder = write_tree(tmp_path / "app")
    for _ in range(2):
        BuildContext(folder, cache=cache).fingerprint()
    assert counted.reads == 2


def test_another_option_or_folder_is_another_entry(
    tmp_path: Path, cache: StatCache, counted: Counted
) -> None:
    one, two = write_tree(tmp_path / "one"), write_tree(tmp_path / "two")
    found = [
        BuildContext(one, cache=cache).fingerprint(),
        BuildContext(one, cache=cache).fingerprint(target="a"),
        BuildContext(two, cache=cache).fingerprint(),
    ]
    assert counted.reads == 3
    assert found[0] == found[2] != found[1]


# The cache itself


def entries(cache: StatCache) -> list[Path]:
    return sorted(cache._folder.iterdir())


def test_a_value_is_returned_for_its_state_alone(cache: StatCache) -> None:
    cache.put("key", "state", {"sha256": "1"})
    assert cache.get("key", "state") == {"sha256": "1"}
    assert cache.get("key", "another state") is None
    assert cache.get("another key", "state") is None
    cache.put("key", "another state", {"sha256": "2"})
    assert cache.get("key", "state") is None


def damaged(content: bytes) -> list[bytes]:
    value = json.loads(content)
    value["value"] = {"sha256": "another"}
    return [
        b"",
        content[:-1],
        content[: len(content) // 2],
        b"[]",
        b"\xff\xfe",
        b"null",
        json.dumps(value).encode(),
    ]


@pytest.mark.parametrize("index", range(7))
def test_a_damaged_entry_is_as_none(cache: StatCache, index: int) -> None:
    cache.put("key", "state", {"sha256": "1"})
    [entry] = entries(cache)
    entry.write_bytes(damaged(entry.read_bytes())[index])
    assert cache.get("key", "state") is None
    cache.put("key", "state", {"sha256": "1"})
    assert cache.get("key", "state") == {"sha256": "1"}


def test_an_entry_of_another_key_in_its_place_is_as_none(cache: StatCache) -> None:
    cache.put("one", "state", {"sha256": "1"})
    [one] = entries(cache)
    cache.put("two", "state", {"sha256": "2"})
    [two] = set(entries(cache)) - {one}
    os.replace(two, one)
    assert cache.get("one", "state") is None


@pytest.mark.parametrize("mode", [0o660, 0o602])
def test_what_others_could_have_written_is_as_none(cache: StatCache, mode: int) -> None:
    cache.put("key", "state", {"sha256": "1"})
    [entry] = entries(cache)
    assert entry.stat().st_mode & 0o777 == 0o600
    assert cache._folder.stat().st_mode & 0o777 == 0o700
    entry.chmod(mode)
    assert cache.get("key", "state") is None


def test_a_link_is_not_followed(cache: StatCache, tmp_path: Path) -> None:
    cache.put("key", "state", {"sha256": "1"})
    [entry] = entries(cache)
    entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(tmp_path / "elsewhere")
    assert cache.get("key", "state") is None


def test_a_folder_that_cannot_be_used_is_as_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = StatCache(tmp_path / "file" / "cache")
    cache.put("key", "state", {"sha256": "1"})
    assert cache.get("key", "state") is None


def test_the_least_used_entries_are_forgotten(cache: StatCache) -> None:
    for number in range(MOST_ENTRIES):
        cache.put(str(number), "state", {})
        os.utime(cache._place(str(number)), (number, number))
    assert cache.get("0", "state") == {}
    cache.put("new", "state", {})
    assert len(entries(cache)) == MOST_ENTRIES
    assert cache.get("1", "state") is None
    assert cache.get("0", "state") == cache.get("new", "state") == {}


WRITER = """
import sys
from pathlib import Path
from airflow_sm_hosting.stat_cache import StatCache
cache = StatCache(Path(sys.argv[1]))
for number in range(300):
    state = str(number % 7)
    found = cache.get("key", state)
    assert found in (None, {"is": state}), found
    cache.put("key", state, {"is": state})
"""


def test_processes_that_write_at_once_see_whole_entries_of_their_state(cache: StatCache) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(cache._folder)]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(entries(cache)) == 1


def test_without_a_cache_it_is_computed_each_time() -> None:
    values = iter([{"n": 1}, {"n": 2}])
    assert [
        remembered(None, "key", "state", settled=True, compute=lambda: next(values)) for _ in range(2)
    ] == [{"n": 1}, {"n": 2}]
