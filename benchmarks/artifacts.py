"""What model data costs on its way to S3, beside the Amazon provider, Python's own ``tarfile``, and a floor of bare sockets or inflating.

``python benchmarks/artifacts.py [rounds [megabytes [words]]]`` (default: 5 rounds with 1000 MB, about ten minutes; with words, only the rows whose
title has them). All are measured in one run, in turn, and the median of the ratios of each round is printed; exit code 1 where a goal is missed.
Bytecode must be compiled (run it once before).

S3 is ``s3_sink.py``, over TLS, in a process of its own. Client and server share the CPU, so CPU counts first, and the megabytes a second are
"at least". Every measurement is a fork of a process that has made its clients.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="sm-hosting-artifacts-"))
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

MB = 1_000_000
BLOCK = 1024 * 1024
BUCKET = "models"
log = logging.getLogger(__name__)


class Cost(NamedTuple):
    """What one measurement has cost."""

    cpu: float
    wall: float
    rss: float


@dataclass
class Row:
    """What is measured, against what, and how much it may cost.

    :param title: What it is.
    :param size: Bytes that it moves.
    :param runs: What is run, by name: ours, peer, floor.
    :param cpu: The most CPU, as a ratio to each of the others.
    :param wall: The most wall time.
    :param rss: The most memory that ours may take, in MB.
    :param milliseconds: The most time that ours may take.
    """

    title: str
    size: int
    runs: dict[str, Callable[[], float | None]]
    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)
    rss: float | None = None
    milliseconds: float | None = None


class Sink(NamedTuple):
    """The S3 of the measurements."""

    port: int
    ca: Path


def in_fork(work: Callable[[], float | None]) -> Cost:
    """Run something in a fork of this process, and return what it has cost; what measures itself returns its seconds."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            before = resident()
            Path("/proc/self/clear_refs").write_text("5")  # resets the peak
            cpu, wall = time.process_time(), time.perf_counter()
            own = work()
            wall = time.perf_counter() - wall if own is None else own
            cost = time.process_time() - cpu, wall, (resident("VmHWM") - before) / 1000
            os.write(writer, json.dumps(cost).encode())
            status = 0
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if not text:
        raise RuntimeError("a measurement failed; see above")
    return Cost(*json.loads(text))


def resident(name: str = "VmRSS") -> int:
    """Return this process's memory in KB, now or at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def send_bare(sink: Sink, path: Path) -> None:
    """Send a file in parts of 64 MiB over two sockets: what TLS costs."""
    part, size = 64 * BLOCK, path.stat().st_size
    context = ssl.create_default_context(cafile=str(sink.ca))

    def send(starts: list[int]) -> None:
        block = memoryview(bytearray(BLOCK))
        with (
            path.open("rb", buffering=0) as file,
            socket.create_connection(("127.0.0.1", sink.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            for start in starts:
                left = min(part, size - start)
                connection.sendall(f"PUT /x/y HTTP/1.1\r\nContent-Length: {left}\r\n\r\n".encode())
                file.seek(start)
                while left:
                    count = file.readinto(block[: min(left, BLOCK)])
                    connection.sendall(block[:count])
                    left -= count
                connection.recv(65536)

    starts = list(range(0, size, part))
    threads = [threading.Thread(target=send, args=(starts[number::2],)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def inflate(path: Path) -> None:
    """Inflate a file, and forget it."""
    from isal import isal_zlib

    inflater = isal_zlib.decompressobj(wbits=31)
    with path.open("rb", buffering=0) as file:
        while data := file.read(BLOCK):
            while data:
                inflater.decompress(data, BLOCK)
                data = inflater.unconsumed_tail


def tar(source: Path, target: Path) -> None:
    """Pack a folder as the Amazon provider and the SageMaker SDK do."""
    with tarfile.open(target, "w:gz") as archive:
        archive.add(source, arcname="")
    target.unlink()


def write_model(folder: Path, size: int) -> None:
    """Write a model: fp32 weights, a vocabulary and code, 80, 15 and 5 of 100."""
    import numpy as np

    generator = np.random.default_rng(7)
    folder.mkdir()
    with (folder / "weights.bin").open("wb") as file:
        for _ in range(size * 80 // 100 // (4 * MB)):
            file.write((generator.standard_normal(MB, dtype=np.float32) * 0.02).tobytes())
    words = {f"token{number}": int(number) for number in generator.integers(0, 2**31, size * 15 // 100 // 22)}
    (folder / "vocabulary.json").write_text(json.dumps(words))
    (folder / "code").mkdir()
    for number in range(200):
        line = f"value_{number} = [{', '.join(map(str, generator.integers(0, 999, 20)))}]\n"
        (folder / "code" / f"module_{number}.py").write_text(
            line * max(1, size * 5 // 100 // 200 // len(line))
        )


@contextmanager
def sink_of(folder: Path) -> Iterator[Sink]:
    """Run the sink, and have ``aws_default`` lead to it."""
    program = Path(__file__).parent / "s3_sink.py"
    server = subprocess.Popen(
        [sys.executable, str(program), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        port, ca = int(server.stdout.readline()), folder / "ca.pem"
        extra = {
            "region_name": "us-east-1",
            "endpoint_url": f"https://127.0.0.1:{port}",
            "verify": str(ca),
        }
        connection = {"conn_type": "aws", "login": "a", "password": "b", "extra": extra}
        os.environ["AIRFLOW_CONN_AWS_DEFAULT"] = json.dumps(connection)
        yield Sink(port, ca)
    finally:
        server.terminate()
        server.wait()


def rows(folder: Path, sink: Sink, size: int) -> list[Row]:
    """Return what is measured."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

    from airflow_sm_hosting.artifacts.archive_check import HashedFile, check_archive, prove_archive
    from airflow_sm_hosting.artifacts.packing import PackedArtifact, pack
    from airflow_sm_hosting.artifacts.upload import content_key, upload_if_absent
    from airflow_sm_hosting.hooks import ModelDataHook
    from airflow_sm_hosting.stat_cache import state_of

    model, small = folder / "model", folder / "small"
    write_model(model, size)
    write_model(small, size // 4)
    archive = folder / "model.tar.gz"
    pack(model, workdir=folder).path.rename(archive)
    shutil.rmtree(model)
    with archive.open("rb") as file:
        checked = check_archive(file, "", "")
    artifact = PackedArtifact(
        archive,
        checked.sha256,
        checked.checksums,
        checked.size,
        temporary=False,
        state=state_of(archive.stat()),
    )
    ours, theirs, sagemaker = ModelDataHook(), S3Hook(), SageMakerHook()
    s3 = ours.conn
    # Made here, and connected in each fork: two processes cannot share a TLS connection.
    for made in (theirs, sagemaker.s3_hook):
        made.get_conn()

    def upload(found: PackedArtifact) -> None:
        key = content_key("", str(os.getpid()), found.sha256)
        upload_if_absent(s3, found, bucket=BUCKET, key=key, log=log)

    def name_and_upload() -> None:
        with archive.open("rb", buffering=0) as file:
            hashed = HashedFile(file)
            while hashed.read():
                pass
        upload(artifact)

    def load_file() -> None:
        theirs.load_file(str(archive), str(os.getpid()), BUCKET, replace=True)

    def prove() -> None:
        with archive.open("rb", buffering=0) as file:
            prove_archive(Blocks(file), "", "")

    def publish() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as workdir:
            upload(pack(small, workdir=workdir))

    def publish_theirs() -> None:
        sagemaker.tar_and_s3_upload(str(small), str(os.getpid()), BUCKET)

    def pack_ours() -> None:
        pack(small, workdir=folder).path.unlink()

    def bare() -> None:
        send_bare(sink, archive)

    weight = sum(path.stat().st_size for path in small.rglob("*") if path.is_file())
    return [
        Row(
            "new archive: name and transfer",
            artifact.size,
            {"ours": name_and_upload, "S3Hook.load_file": load_file, "TLS": bare},
            cpu={"S3Hook.load_file": 0.65, "TLS": 2.4},
            rss=25,
        ),
        Row(
            "transfer alone",
            artifact.size,
            {"ours": lambda: upload(artifact), "S3Hook.load_file": load_file, "TLS": bare},
            cpu={"S3Hook.load_file": 0.35, "TLS": 1.4},
            rss=25,
        ),
        Row(
            "proof of an archive",
            artifact.size,
            {"ours": prove, "inflate": lambda: inflate(archive)},
            cpu={"inflate": 1.2},
            rss=25,
        ),
        Row(
            "folder to S3",
            weight,
            {"ours": publish, "tar_and_s3_upload": publish_theirs},
            cpu={"tar_and_s3_upload": 1 / 13},
            wall={"tar_and_s3_upload": 1 / 13},
        ),
        Row(
            "packing a folder",
            weight,
            {"ours": pack_ours, "tarfile w:gz": lambda: tar(small, folder / "theirs.tar.gz")},
            wall={"tarfile w:gz": 1 / 15},
        ),
    ]


FILES, FOLDERS = 10_000, 200
#: Prints the milliseconds that the CDK takes for a folder, in a process that has not seen it.
CDK = """
const {FileSystem} = require('aws-cdk-lib');
const began = process.hrtime.bigint();
FileSystem.fingerprint(process.argv[1]);
console.log(Number(process.hrtime.bigint() - began) / 1e6);
"""


def rows_of_unchanged(folder: Path) -> list[Row]:
    """Return what deciding costs that nothing is to be done."""
    from airflow.sdk import DAG

    from airflow_sm_hosting import BuildImageOperator
    from airflow_sm_hosting.artifacts.packing import pack
    from airflow_sm_hosting.images.context import BuildContext
    from airflow_sm_hosting.stat_cache import StatCache, tree_state

    context, model = folder / "context", folder / "little"
    write_context(context)
    write_model(model, 50 * MB)
    archive = folder / "unchanged.tar.gz"
    pack(model, workdir=folder).path.rename(archive)
    cache = StatCache(folder / "cache")
    while not tree_state(folder)[1]:  # a file that has just changed is read again
        time.sleep(0.1)
    BuildContext(context, cache=cache).fingerprint()
    pack(archive, workdir=folder, cache=cache)

    def walk() -> None:
        folders = [str(context)]
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        entry.stat(follow_symlinks=False)

    def cold() -> None:
        BuildContext(context).fingerprint()

    def unchanged() -> None:
        BuildContext(context, cache=cache).fingerprint()

    def unchanged_archive() -> None:
        pack(archive, workdir=folder, cache=cache)

    found = [
        Row(
            "unchanged context of 10,000 files",
            0,
            {"ours": unchanged, "lstat walk": walk},
            cpu={"lstat walk": 1.2},
        ),
        Row("unchanged archive", 0, {"ours": unchanged_archive}, milliseconds=1),
    ]
    if cdk := cdk_folder():

        def of_cdk() -> float:
            home = tempfile.mkdtemp(dir=folder)  # its cache is there
            command = ["node", "-e", CDK, str(context)]
            done = subprocess.run(
                command, cwd=cdk, env={**os.environ, "HOME": home}, capture_output=True, text=True, check=True
            )
            return float(done.stdout) / 1000

        found.append(Row("context of 10,000 files", 0, {"ours": cold, "CDK": of_cdk}, wall={"CDK": 0.45}))
    else:
        print("Without npm, the CDK is not measured.", file=sys.stderr)
    if (
        shutil.which("docker")
        and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode
    ):
        from airflow_sm_hosting.local import LocalAws

        aws = LocalAws(engine="none")
        aws.start()
        # Of its own: the other rows use the default one.
        os.environ["AIRFLOW_CONN_LOCAL"] = json.dumps(aws.connection())
        with DAG("benchmark", schedule=None):
            task = BuildImageOperator(
                task_id="build",
                directory=str(context),
                repository_name="churn",
                builder="assembler",
                aws_conn_id="local",
            )

        def build() -> None:
            task.execute({"ti": NoXcom()})  # type: ignore[typeddict-item]

        def docker_build() -> None:
            subprocess.run(["docker", "build", "-q", str(context)], capture_output=True, check=True)

        build()
        docker_build()
        found.append(
            Row(
                "no-op BuildImage",
                0,
                {"ours": build, "docker build": docker_build},
                wall={"docker build": 1 / 50},
            )
        )
    else:
        print("Without a Docker engine, `docker build` is not measured.", file=sys.stderr)
    return found


class NoXcom:
    """A task instance that keeps nothing."""

    def xcom_push(self, key: str, value: object) -> None:
        """Take the details."""


def write_context(folder: Path) -> None:
    """Write a build context of 92 MB."""
    folder.mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /opt/\n")
    for number in range(FOLDERS):
        (folder / f"d{number}").mkdir()
        for file in range(FILES // FOLDERS):
            (folder / f"d{number}" / f"f{file}.py").write_bytes(os.urandom(9_200))


def cdk_folder() -> Path | None:
    """Return a folder with the CDK, which npm installs once into the user's cache folder; None without npm."""
    from platformdirs import user_cache_path

    folder = user_cache_path("sm-hosting-benchmarks", ensure_exists=True)
    if shutil.which("npm") and not (folder / "node_modules" / "aws-cdk-lib").exists():
        install = ["npm", "install", "--no-audit", "--no-fund", "aws-cdk-lib@2", "constructs@10"]
        subprocess.run(install, cwd=folder, capture_output=True, check=False)
    return folder if (folder / "node_modules" / "aws-cdk-lib").exists() else None


class Blocks:
    """A file in blocks, as the proof reads it."""

    def __init__(self, file: io.FileIO) -> None:
        self._file = file

    def read(self) -> bytes:
        return self._file.read(BLOCK)


def ratio(found: dict[str, list[Cost]], other: str, what: str) -> float:
    """Return the median of the ratios of each round."""
    pairs = zip(found["ours"], found[other], strict=True)
    return statistics.median(float(getattr(ours, what) / getattr(theirs, what)) for ours, theirs in pairs)


def main() -> int:
    """Measure and print; return how many goals are missed."""
    from rich.console import Console
    from rich.table import Table

    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    size = (int(sys.argv[2]) if len(sys.argv) > 2 else 1000) * MB
    words = sys.argv[3] if len(sys.argv) > 3 else ""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    folder = Path(tempfile.mkdtemp(prefix="sm-hosting-model-data-"))
    missed = 0
    table = Table("", "", "CPU s/GB", "MB/s", "ms", "MB RSS", "CPU ours/this", "wall ours/this", box=None)
    try:
        with sink_of(folder) as sink, contextlib.redirect_stdout(sys.stderr):
            measured = [*rows_of_unchanged(folder), *rows(folder, sink, size)]
            for row in (row for row in measured if words in row.title):
                found: dict[str, list[Cost]] = {name: [] for name in row.runs}
                for number in range(rounds):
                    names = list(row.runs) if number % 2 else list(reversed(row.runs))
                    for name in names:
                        found[name].append(in_fork(row.runs[name]))
                for name, costs in found.items():
                    cells = [row.title if name == "ours" else "", name]
                    cpu, wall = (
                        statistics.median(getattr(one, what) for one in costs) for what in ("cpu", "wall")
                    )
                    cells += (
                        [f"{cpu / row.size * 1e9:.2f}", f"{row.size / MB / wall:.0f}"]
                        if row.size
                        else ["", ""]
                    )
                    limit = row.milliseconds if name == "ours" else None
                    missed += limit is not None and wall * 1000 > limit
                    cells.append(f"{wall * 1000:.2f}" + (f" (goal {limit:g})" if limit else ""))
                    rss = statistics.median(one.rss for one in costs)
                    goal = row.rss if name == "ours" else None
                    missed += goal is not None and rss > goal
                    cells.append(f"{rss:.0f}" + (f" (goal {goal:g})" if goal else ""))
                    for what, goals in (("cpu", row.cpu), ("wall", row.wall)):
                        if name == "ours":
                            continue
                        reached, goal = ratio(found, name, what), goals.get(name)
                        missed += goal is not None and reached > goal
                        cells.append(f"{reached:.3f}" + (f" (goal {goal:.3g})" if goal else ""))
                    table.add_row(*cells)
        Console(width=140).print(table)
        print(f"Medians of {rounds} rounds; the ratios are medians of those of each round.")
        return missed
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
