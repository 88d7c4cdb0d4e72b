"""A base image with Python, made from Debian's packages, for computers that reach no image registry."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from docker.errors import ImageNotFound

from airflow_sm_hosting.exceptions import ImageBuildError

if TYPE_CHECKING:
    import docker

# busybox gives the shell and the tools that a Dockerfile's RUN expects; libpython3-stdlib the standard library.
_WANTED = ("python3-minimal", "libpython3-stdlib", "busybox-static", "ca-certificates")
# In the closure of the packages for their installation, and of no use in a container.
_LEFT_OUT = re.compile(
    r"dpkg|c?debconf.*|perl.*|libperl.*|mailcap|mime-support|install-info|tar|openssl|readline-common|gcc-.*-base|"
    r"libnewt.*|libslang.*|libdebian-installer.*|libtextwrap.*|libgdbm.*|libdb5.*"
)
_NOT_NEEDED = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian")


def ensure_debian_python_base(client: docker.DockerClient, tag: str = "sm-hosting-base:python3") -> str:
    """Make a base image with Debian's Python 3, unless the engine has it, and return its tag.

    The packages are downloaded with apt and unpacked into a folder, and that folder is imported: about 5 seconds and 50 MB.
    Nothing is installed on this computer.

    :param client: A client of the Docker engine.
    :param tag: The image's name.
    :raises ImageBuildError: This computer has no apt, or it cannot download.
    """
    with suppress(ImageNotFound):
        client.images.get(tag)
        return tag
    missing = [program for program in ("apt-get", "apt-cache", "dpkg-deb") if not shutil.which(program)]
    if missing:
        raise ImageBuildError(
            f"A base image can be built from packages only on Debian and Ubuntu: {', '.join(missing)} is "
            "missing. Give another base image, such as python:3.12-slim, that the engine has or can pull."
        )
    with tempfile.TemporaryDirectory(prefix="sm-hosting-base-") as folder:
        root = Path(folder) / "root"
        root.mkdir()
        for package in _download(Path(folder)):
            unpack(package, root)
        _finish(root)
        archive = Path(folder) / "root.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".", filter=_owned_by_root)
        repository, _, version = tag.partition(":")
        client.api.import_image_from_file(str(archive), repository=repository, tag=version or "latest")
    return tag


def unpack(package: Path, root: Path) -> None:
    """Unpack a Debian package into a folder."""
    _run(["dpkg-deb", "-x", str(package), str(root)], root)


def known_packages(prefix: str) -> set[str]:
    """Return the names of the packages that apt knows, by their beginning."""
    return set(_run(["apt-cache", "pkgnames", prefix], Path.cwd()).split())


def download_packages(names: Sequence[str], folder: Path) -> list[Path]:
    """Download Debian packages into an existing folder, without what they need.

    :raises ImageBuildError: This computer has no apt, or it cannot download.
    """
    # apt's sandbox user cannot write into this folder; it says so and continues as root.
    _run(["apt-get", "download", "-o", "APT::Sandbox::User=root", *names], folder)
    return sorted(folder.glob("*.deb"))


def _download(folder: Path) -> list[Path]:
    """Download the wanted packages and what they need."""
    listed = _run(
        [
            "apt-cache",
            "depends",
            "--recurse",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
            *_WANTED,
        ],
        folder,
    )
    # Lines that begin at the margin are packages; those in angle brackets exist in name only.
    names = sorted(
        {
            line
            for line in listed.splitlines()
            if re.fullmatch(r"[a-z0-9][a-z0-9.+-]*(:\w+)?", line) and not _LEFT_OUT.fullmatch(line)
        }
    )
    packages = folder / "packages"
    packages.mkdir()
    return download_packages(names, packages)


def _finish(root: Path) -> None:
    """Do what the packages' scripts would have done, and take away what a container does not read."""
    for folder in _NOT_NEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)
    binaries = root / ("usr/bin" if (root / "bin").is_symlink() else "bin")
    binaries.mkdir(parents=True, exist_ok=True)
    busybox = next(path for path in (root / "bin/busybox", root / "usr/bin/busybox") if path.exists())
    for name in _run([str(busybox), "--list"], root).split():
        if not any((root / folder / name).exists() for folder in ("bin", "usr/bin", "sbin", "usr/sbin")):
            (binaries / name).symlink_to("/" + str(busybox.relative_to(root)))
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    bundle = root / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    # A computer whose TLS is intercepted trusts more than Debian does; its containers must, too.
    host_bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if host_bundle.exists():
        shutil.copyfile(host_bundle, bundle)
    else:
        bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))
    openssl = root / "usr/lib/ssl"
    openssl.mkdir(parents=True, exist_ok=True)
    if not (openssl / "cert.pem").exists():
        (openssl / "cert.pem").symlink_to("/etc/ssl/certs/ca-certificates.crt")
    (root / "tmp").mkdir(mode=0o1777, exist_ok=True)
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (root / "root").mkdir(exist_ok=True)


def _owned_by_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageBuildError(
            f"{command[0]} failed, so no base image can be built: {done.stderr.strip()[-1000:]} (`apt-get "
            "update` may help; it needs root.)"
        )
    return done.stdout
