"""Unpacking of archives that others made: nothing outside the folder is ever written, and nothing without a limit."""

from __future__ import annotations

import lzma
import shutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

# Debian 12's own Python is 3.11.2, whose tarfile has no filters yet (PEP 706 came with 3.11.4).
if sys.version_info >= (3, 11, 4):
    import tarfile
else:
    from backports import tarfile  # type: ignore[import-not-found,import-untyped,no-redef,unused-ignore]

# More than any model that a developer's computer serves; SageMaker's own limit is the instance's volume.
MAX_BYTES = 64 * 1024**3
MAX_MEMBERS = 1_000_000
# An archive must leave room on the disk for everything else that runs here.
SPARE_DISK_BYTES = 512 * 1024**2

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# Other names that begin so are bookkeeping of AUFS, and delete nothing (moby, pkg/archive, WhiteoutMetaPrefix).
_AUFS = ".wh..wh."


class ArchiveError(Exception):
    """An archive is broken, hostile or too large; the message says which and where."""


@dataclass
class Budget:
    """What may still be unpacked."""

    bytes: int = MAX_BYTES
    members: int = MAX_MEMBERS

    @classmethod
    def of_disk(cls, folder: Path) -> Budget:
        """Return the budget that the disk of ``folder`` leaves."""
        return cls(bytes=max(0, min(MAX_BYTES, shutil.disk_usage(folder).free - SPARE_DISK_BYTES)))

    def spend(self, member: tarfile.TarInfo) -> None:
        """Take a member off the budget, before it is written."""
        self.members -= 1
        self.bytes -= member.size
        if self.members < 0:
            raise ArchiveError("the archive has too many members")
        if self.bytes < 0:
            raise ArchiveError(f"the archive is too large when unpacked (at {member.name!r})")


def unpack_model_archive(archive: IO[bytes], folder: Path, *, budget: Budget | None = None) -> None:
    """Unpack a ``model.tar.gz``, read as a stream.

    Refused: anything but a gzip-compressed tar, absolute paths, ``..``, links that lead out, devices, bombs.

    :param archive: The archive's bytes.
    :param folder: An existing folder, which becomes ``/opt/ml/model``.
    :param budget: The limits; default: what the disk leaves.
    :raises ArchiveError: The archive cannot be, or must not be, unpacked.
    """
    budget = budget or Budget.of_disk(folder)
    with _tar_stream(archive, "r|gz") as tar:
        for member in tar:
            name = PurePosixPath(member.name)
            if name.is_absolute() or ".." in name.parts:
                raise ArchiveError(f"the archive has a member outside of its folder: {member.name!r}")
            budget.spend(member)
            tar.extract(member, folder, set_attrs=True, filter="data")


def apply_layer(layer: IO[bytes], root: Path, *, budget: Budget) -> None:
    """Unpack one layer of a container image over what the layers below it left.

    The rules of https://github.com/opencontainers/image-spec/blob/main/layer.md: whiteouts delete, and absolute
    links are meant from the image's root.

    :param layer: The layer's bytes, gzip-compressed or not.
    :param root: The image's root folder.
    :param budget: The limits of the whole image.
    :raises ArchiveError: The layer cannot be, or must not be, unpacked.
    """
    own: set[PurePosixPath] = set()
    with _tar_stream(layer, "r|*") as tar:
        for member in tar:
            name = PurePosixPath(member.name.lstrip("/"))
            if ".." in name.parts:
                raise ArchiveError(f"the layer has a member outside of its folder: {member.name!r}")
            if member.ischr() or member.isblk() or member.isfifo():
                # An image may carry device nodes; an unprivileged process has no use for them.
                continue
            budget.spend(member)
            if name.name == _OPAQUE:
                for child in _inside(root, name.parent).glob("*"):
                    _delete_below(child, name.parent / child.name, own)
            elif name.name.startswith(_AUFS):
                continue
            elif name.name.startswith(_WHITEOUT):
                gone = name.name.removeprefix(_WHITEOUT)
                _delete_below(_inside(root, name.parent) / gone, name.parent / gone, own)
            else:
                _extract_over(tar, member, name, root)
                own |= {name, *name.parents}


def _extract_over(tar: tarfile.TarFile, member: tarfile.TarInfo, name: PurePosixPath, root: Path) -> None:
    target = root / name
    is_folder = target.is_dir() and not target.is_symlink()
    is_there = is_folder or target.is_symlink() or target.is_file()
    if is_there and not member.isdir():
        # A layer replaces what is below it: without this, a file would be written through a link.
        _delete(target)
    elif target.is_file() and not target.is_symlink():
        target.unlink()
    changes: dict[str, str] = {"name": str(name)}
    if member.issym() and member.linkname.startswith("/"):
        up = "/".join([".."] * len(name.parent.parts))
        changes["linkname"] = f"{up}/{member.linkname.lstrip('/')}" if up else member.linkname.lstrip("/")
    elif member.islnk():
        changes["linkname"] = member.linkname.lstrip("/")
    tar.extract(member.replace(**changes, deep=False), root, set_attrs=True, filter="data")  # type: ignore[arg-type]


def _inside(root: Path, relative: PurePosixPath) -> Path:
    folder = (root / relative).resolve()
    if not folder.is_relative_to(root.resolve()):
        raise ArchiveError(f"the layer deletes outside of its folder: {str(relative)!r}")
    return folder


def _delete_below(path: Path, name: PurePosixPath, own: set[PurePosixPath]) -> None:
    """Delete what the layers below have at a path; what the layer itself has put there stays."""
    if name not in own:
        _delete(path)
    elif path.is_dir() and not path.is_symlink():
        for child in path.glob("*"):
            _delete_below(child, name / child.name, own)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _tar_stream(stream: IO[bytes], mode: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
            yield tar
    except tarfile.FilterError as error:
        raise ArchiveError(f"the archive has a member that must not be unpacked: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, KeyError, ValueError) as error:
        raise ArchiveError(f"the archive cannot be unpacked: {error}") from error
