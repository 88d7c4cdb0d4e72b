from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from hypothesis import given, strategies as st

from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.artifacts.transfer import FileBody
from airflow_sm_hosting.byte_progress import ByteProgress


class Lines:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, msg: Any, /, *args: Any) -> None:
        self.lines.append(msg % args)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_line_comes_after_ten_seconds_and_then_one_every_thirty() -> None:
    log, clock = Lines(), Clock()
    progress = ByteProgress(log, "Uploading m.tar.gz", 2_000_000_000, clock=clock)
    seen: list[int] = []
    for second in range(1, 101):
        clock.now += 1
        before = len(log.lines)
        progress.add(20_000_000)
        seen += [second] * (len(log.lines) - before)
    progress.end()
    assert seen == [10, 40, 70, 100]
    assert log.lines[0] == "Uploading m.tar.gz: 200.0 MB of 2.0 GB (10 %), 20.0 MB/s, 1 min 30 s left"
    assert log.lines[2] == "Uploading m.tar.gz: 1.4 GB of 2.0 GB (70 %), 20.0 MB/s, 30 s left"
    assert log.lines[-1] == "Uploading m.tar.gz: done, 2.0 GB in 1 min 40 s (20.0 MB/s)"


def test_what_is_quick_is_one_line() -> None:
    log, clock = Lines(), Clock()
    progress = ByteProgress(log, "Packing model", 5_000_000, clock=clock)
    progress.add(5_000_000)
    clock.now += 0.5
    progress.end()
    assert log.lines == ["Packing model: done, 5.0 MB in 0.5 s (10.0 MB/s)"]


@given(
    steps=st.lists(st.tuples(st.integers(-100, 10**9), st.floats(0, 10**5)), max_size=20),
    total=st.integers(0, 10**12),
)
def test_it_never_fails_whatever_is_counted(steps: list[tuple[int, float]], total: int) -> None:
    """Also nothing, more than all, what is sent again, and a clock that stands still."""
    log, clock = Lines(), Clock()
    progress = ByteProgress(log, "", total, clock=clock)
    for count, seconds in steps:
        clock.now += seconds
        progress.add(count)
    progress.end()
    assert not any("-" in line for line in log.lines if "left" in line)


def test_what_is_sent_again_counts_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3_000_000))
    counted: list[int] = []
    with (tmp_path / "file").open("rb") as file:
        body = FileBody(file.fileno(), 0, 3_000_000, threading.Event(), counted.append)
        body.crc32()
        assert counted == []
        for _ in range(2):
            body.seek(0)
            while body.read(16):
                pass
    assert sum(counted) == 3_000_000


def test_packing_tells_its_size(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(bytes(2_000_000))
    log = Lines()
    archive = pack(tmp_path / "model", workdir=tmp_path, log=log)
    pack(archive.path, workdir=tmp_path, log=log)
    assert [line.partition(" in ")[0] for line in log.lines] == [
        f"Packing {tmp_path}/model: done, 2.0 MB",
        f"Reading {archive.path}: done, 0.0 MB",
    ]
