"""What a server leaves that is killed, and what the next one makes of it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from airflow_sm_hosting.local import LocalAws, work_dir
from tests.local.conftest import Deployer, wait_until


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Servers of other tests come and go meanwhile.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def folders(tmp_path: Path) -> Any:
    return {path.name for path in tmp_path.iterdir() if path.name.startswith("sm-hosting-")}


def kill(aws: LocalAws) -> None:
    os.kill(aws.health()["pid"], signal.SIGKILL)
    aws.stop()


@contextmanager
def serving(**options: Any) -> Iterator[Any]:
    """A server of the process engine with an endpoint, and the processes that it has started."""
    with LocalAws(engine="process", transition_seconds=0, **options) as aws:
        deployer = Deployer(aws)
        endpoint = deployer.endpoint(
            deployer.config(deployer.variant(deployer.model(Image=deployer.push_image())))
        )
        yield aws, deployer, endpoint, psutil.Process(aws.health()["pid"]).children(recursive=True)


def is_alive(process: Any) -> Any:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_processes_and_folder_go_with_a_server_that_is_killed_and_another_is_not_disturbed(
    tmp_path: Path,
) -> None:
    with serving() as (other, deployer, endpoint, others):
        theirs = folders(tmp_path)
        with serving() as (killed, _, _, processes):
            # The container's entry point, and what waits to kill it.
            assert len(processes) == 2
            assert all(is_alive(process) for process in processes)
            kill(killed)
            wait_until(lambda: not any(is_alive(process) for process in processes), seconds=20)
            wait_until(lambda: folders(tmp_path) == theirs, seconds=20)
        assert deployer.invoke(endpoint)["body"] == "1,2"
        assert all(is_alive(process) for process in others)
        assert other.client("sagemaker").list_endpoints()["Endpoints"]
    assert folders(tmp_path) == set()
    assert not any(is_alive(process) for process in others)


def test_the_next_start_removes_what_a_killed_server_left(tmp_path: Path) -> None:
    with LocalAws(engine="none") as alive:
        before = folders(tmp_path)
        killed = LocalAws(engine="none")
        with killed:
            left = folders(tmp_path) - before
            kill(killed)
        assert folders(tmp_path) == before | left
        assert left
        with LocalAws(engine="none"):
            assert not folders(tmp_path) & left
            assert before < folders(tmp_path)
        assert alive.client("sagemaker").list_endpoints()["Endpoints"] == []
    assert folders(tmp_path) == set()


def test_only_what_a_server_left_is_swept(tmp_path: Path) -> None:
    left = tmp_path / "sm-hosting-left"
    left.mkdir()
    (left / "file").write_text("x")
    (tmp_path / "sm-hosting-left.lock").touch()
    # Without a lock it is somebody else's: tests and people name theirs so, too.
    (tmp_path / "sm-hosting-notes").mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "sm-hosting-link").symlink_to(elsewhere)
    (tmp_path / "sm-hosting-file").write_text("x")
    mine = work_dir.WorkDir()
    work_dir.sweep()
    kept = {"sm-hosting-link", "sm-hosting-file", "sm-hosting-notes"}
    assert folders(tmp_path) == kept | {mine.folder.name, mine.lock_file.name}
    assert elsewhere.exists()
    mine.close()
    assert folders(tmp_path) == kept


@pytest.mark.parametrize("path", ["/etc/passwd", "sm-hosting-x.lock", "/tmp/../etc/sm-hosting-x.lock", ""])
def test_what_cannot_be_a_lock_of_ours_is_not_opened(path: str) -> None:
    assert not work_dir.is_free(Path(path))
