"""Unpacking of archives that others made: nothing outside the folder is ever written, and nothing without a limit.

Names and links are followed here, step by step from the folder on, whatever filters the tarfile of this Python has.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from airflow_sm_hosting.tar_members import BrokenTarError, Readable, decompressed, read_members, shown

# More than any model that a developer's computer serves; SageMaker's own limit is the instance's volume.
MAX_BYTES = 64 * 1024**3
MAX_MEMBERS = 1_000_000
# An archive must leave room on the disk for everything else that runs here.
SPARE_DISK_BYTES = 512 * 1024**2

# Linux takes names of 255 bytes, and paths of 4096 with the folder's own.
_MAX_NAME_BYTES = 255
_MAX_PATH_BYTES = 3072
# Deeper than anyone packs; what walks through a folder is deep in calls, too.
_MAX_DEPTH = 200
_MAX_LINKS = 40  # as Linux has it
_COPY_BYTES = 1024 * 1024
_DRIVE = re.compile(r"[A-Za-z]:[\\/]|\\\\")

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# Other names that begin so are bookkeeping of AUFS, and delete nothing (moby, pkg/archive, WhiteoutMetaPrefix).
_AUFS = ".wh..wh."


class ArchiveError(Exception):
    """An archive is broken, hostile or too large; the message says which and where."""


@dataclass
class Budget:
    """What may still be unpacked into a folder."""

    bytes: int = MAX_BYTES
    members: int = MAX_MEMBERS
    #: The symbolic links that were made, by their path below the folder: the member that made each.
    links: dict[tuple[str, ...], str] = field(default_factory=dict)

    @classmethod
    def of_disk(cls, folder: Path) -> Budget:
        """Return the budget that the disk of ``folder`` leaves."""
        return cls(bytes=max(0, min(MAX_BYTES, shutil.disk_usage(folder).free - SPARE_DISK_BYTES)))

    def spend(self, member: tarfile.TarInfo) -> None:
        """Take a member off the budget, before it is written; what is not written must be read, too."""
        self.members -= 1
        self.bytes -= member.size
        if self.members < 0:
            raise ArchiveError(f"the archive has too many members (at {shown(member.name)})")
        if self.bytes < 0:
            raise ArchiveError(f"the archive is too large when unpacked (at {shown(member.name)})")


def unpack_model_archive(archive: IO[bytes], folder: Path, *, budget: Budget | None = None) -> None:
    """Unpack a ``model.tar.gz``, read as a stream.

    Refused: anything but a gzip-compressed tar, absolute paths, ``..``, links that lead out, devices, bombs.

    :param archive: The archive's bytes.
    :param folder: An existing folder, which becomes ``/opt/ml/model``.
    :param budget: The limits; default: what the disk leaves.
    :raises ArchiveError: The archive cannot be, or must not be, unpacked.
    """
    stream = decompressed(archive)
    if not isinstance(stream, gzip.GzipFile):
        raise ArchiveError("the archive cannot be unpacked: it is not compressed with gzip")
    target = _Target(folder, budget or Budget.of_disk(folder), is_image=False)
    with target.links_checked():
        _each_member(stream, target.put)


def apply_layer(layer: IO[bytes], root: Path, *, budget: Budget) -> None:
    """Unpack one layer of a container image over what the layers below it left.

    The rules of https://github.com/opencontainers/image-spec/blob/main/layer.md: whiteouts delete, and absolute
    links are meant from the image's root.

    :param layer: The layer's bytes, gzip-compressed or not.
    :param root: The image's root folder.
    :param budget: The limits of the whole image.
    :raises ArchiveError: The layer cannot be, or must not be, unpacked.
    """
    target = _Target(root, budget, is_image=True)
    own: set[tuple[str, ...]] = set()

    def put(archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if member.ischr() or member.isblk() or member.isfifo():
            # An image may carry device nodes; an unprivileged process has no use for them.
            budget.spend(member)
            return
        *parents, name = target.parts_of(member) or [""]
        if any(part.startswith(_WHITEOUT) for part in parents):
            raise ArchiveError(f"the layer has something below a whiteout: {shown(member.name)}")
        if not name.startswith(_WHITEOUT):
            path = target.put(archive, member)
            own.update(path[:count] for count in range(len(path) + 1))
            return
        budget.spend(member)
        if name == _OPAQUE:
            target.empty(parents, member, own)
        elif not name.startswith(_AUFS):
            gone = name.removeprefix(_WHITEOUT)
            if gone in ("", ".", ".."):
                raise ArchiveError(f"the layer has a whiteout of no name: {shown(member.name)}")
            target.delete(parents, gone, member, own)

    with target.links_checked():
        _each_member(decompressed(layer), put)


class _OutsideError(Exception):
    """A path leads out of its folder, in a circle, or too deep."""


class _Target:
    """The folder into which an archive is unpacked.

    Paths below it are tuples of names. Those that the methods return have no links and no ``..`` in them.

    :param folder: The folder.
    :param budget: What may be unpacked.
    :param is_image: Whether it is an image's root: links and names that begin with ``/`` begin here then.
    """

    def __init__(self, folder: Path, budget: Budget, *, is_image: bool) -> None:
        self._folder = folder.resolve()
        self._budget = budget
        self._is_image = is_image

    def parts_of(self, member: tarfile.TarInfo) -> list[str]:
        """Return the names of a member's path, none for the folder itself.

        :raises ArchiveError: It is no path below the folder.
        """
        return self._parts(member.name, member, "member")

    def put(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[str, ...]:
        """Unpack a member, and return where it is.

        :raises ArchiveError: It must not be unpacked.
        """
        self._budget.spend(member)
        parts = self.parts_of(member)
        if not parts:
            if member.isdir():
                return ()
            raise ArchiveError(f"the archive has no name for a member: {shown(member.name)}")
        if member.isdir():
            return self._make_folders(parts, member)
        parents = self._make_folders(parts[:-1], member)
        path = (*parents, parts[-1])
        place = self._place(path)
        if member.islnk():
            self._make_hard_link(member, path)
        elif member.issym():
            target = self._link_target(member, parents)
            self._clear(path, member)
            os.symlink(target, place)
            self._budget.links[path] = member.name
        elif member.isreg():
            self._clear(path, member)
            self._write(archive, member, place)
        else:
            raise ArchiveError(
                f"the archive has a member that is not a file, a folder or a link: {shown(member.name)}"
            )
        return path

    @contextmanager
    def links_checked(self) -> Iterator[None]:
        """Unpack, and check all links again when the links that they lead through are there, also those of a refused archive.

        :raises ArchiveError: One leads out; it is removed.
        """
        wrong: list[str] = []
        try:
            yield
        finally:
            for path, name in list(self._budget.links.items()):
                if not self._stays(path):
                    wrong.append(name)
                    self._place(path).unlink(missing_ok=True)
                    del self._budget.links[path]
        if wrong:
            raise ArchiveError(f"the archive has a link that leads out of its folder: {shown(wrong[0])}")

    # Whiteouts

    def empty(self, parents: list[str], member: tarfile.TarInfo, own: set[tuple[str, ...]]) -> None:
        """Delete what the layers below have in a folder."""
        folder = self._existing_folder(parents, member)
        if folder is not None:
            for name in os.listdir(self._place(folder)):
                self._delete_below((*folder, name), own)

    def delete(
        self, parents: list[str], name: str, member: tarfile.TarInfo, own: set[tuple[str, ...]]
    ) -> None:
        """Delete what the layers below have of a name."""
        folder = self._existing_folder(parents, member)
        if folder is not None:
            self._delete_below((*folder, name), own)

    def _existing_folder(self, parents: list[str], member: tarfile.TarInfo) -> tuple[str, ...] | None:
        folder = self._followed(parents, (), member)
        return folder if self._place(folder).is_dir() else None

    def _delete_below(self, path: tuple[str, ...], own: set[tuple[str, ...]]) -> None:
        """Delete what the layers below have at a path; what the layer itself has put there stays."""
        place = self._place(path)
        if path not in own:
            self._delete(path)
        elif _is_folder(place):
            for name in os.listdir(place):
                self._delete_below((*path, name), own)

    # Paths

    def _place(self, path: tuple[str, ...]) -> Path:
        return self._folder.joinpath(*path)

    def _parts(self, text: str, member: tarfile.TarInfo, kind: str) -> list[str]:
        if self._is_image:
            text = text.lstrip("/")
        parts = [part for part in text.split("/") if part not in ("", ".")]
        problem = ""
        if text.startswith("/") or ".." in parts or _DRIVE.match(text):
            problem = "outside of its folder"
        elif "\0" in text:
            problem = "with a zero byte in its name"
        elif len(os.fsencode(text)) > _MAX_PATH_BYTES or len(parts) > _MAX_DEPTH:
            problem = "with a path that is too long"
        elif any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in parts):
            problem = "with a name that is too long"
        if problem:
            raise ArchiveError(f"the archive has a {kind} {problem}: {shown(member.name)}")
        return parts

    def _make_folders(self, parts: list[str], member: tarfile.TarInfo) -> tuple[str, ...]:
        """Return a folder with links followed, made as far as it does not exist; a file in its way is replaced."""
        path: tuple[str, ...] = ()
        for part in parts:
            path = self._followed([part], path, member)
            place = self._place(path)
            if not _is_folder(place):
                self._clear(path, member)
                place.mkdir()
        return path

    def _followed(self, parts: list[str], start: tuple[str, ...], member: tarfile.TarInfo) -> tuple[str, ...]:
        try:
            return self._follow(parts, start)
        except _OutsideError as error:
            raise ArchiveError(
                f"the archive has a member outside of its folder: {shown(member.name)} ({error})"
            ) from error

    def _follow(self, parts: list[str], start: tuple[str, ...]) -> tuple[str, ...]:
        """Return a path with all links followed.

        :raises _OutsideError: It leads out of the folder at any step, in a circle, or too deep.
        """
        path, left, links = list(start), parts[::-1], 0
        while left:
            part = left.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not path:
                    raise _OutsideError("it leads out")
                path.pop()
                continue
            path.append(part)
            if len(path) > _MAX_DEPTH or sum(map(len, path)) + len(path) > _MAX_PATH_BYTES:
                raise _OutsideError("it leads too deep")
            if (target := self._target_of(tuple(path))) is not None:
                links += 1
                if links > _MAX_LINKS:
                    raise _OutsideError("it leads in a circle")
                if target.startswith("/"):
                    raise _OutsideError("it leads out")
                path.pop()
                left += target.split("/")[::-1]
        return tuple(path)

    def _target_of(self, path: tuple[str, ...]) -> str | None:
        try:
            return os.readlink(self._place(path))
        except OSError:
            # It does not exist, or is no link.
            return None

    def _stays(self, path: tuple[str, ...]) -> bool:
        target = self._target_of(path)
        if target is None:
            # Something else has replaced it.
            return True
        try:
            self._follow(target.split("/"), path[:-1])
        except _OutsideError:
            return False
        return not target.startswith("/")

    # Members

    def _link_target(self, member: tarfile.TarInfo, parents: tuple[str, ...]) -> str:
        """Return what a link is made to point to.

        :raises ArchiveError: That is outside.
        """
        target = member.linkname
        if self._is_image and target.startswith("/"):
            target = "/".join([*([".."] * len(parents)), target.lstrip("/")]) or "."
        try:
            if (
                not target
                or target.startswith("/")
                or "\0" in target
                or len(os.fsencode(target)) > _MAX_PATH_BYTES
            ):
                raise _OutsideError("it leads out")
            self._follow(target.split("/"), parents)
        except _OutsideError as error:
            raise ArchiveError(
                f"the archive has a link that leads out of its folder: {shown(member.name)} ({error})"
            ) from error
        return target

    def _make_hard_link(self, member: tarfile.TarInfo, path: tuple[str, ...]) -> None:
        *parents, name = self._parts(member.linkname, member, "link") or [""]
        source = (*self._followed(parents, (), member), name)
        place = self._place(source)
        if not name or not (place.is_symlink() or place.is_file()):
            raise ArchiveError(f"the archive has a link to no file: {shown(member.name)}")
        if source == path:
            return
        self._clear(path, member)
        os.link(place, self._place(path), follow_symlinks=False)
        if place.is_symlink():
            # From where it is now, it leads elsewhere.
            self._budget.links[path] = member.name

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
        content = archive.extractfile(member)
        if content is None:
            raise ArchiveError(f"the archive has no content for a member: {shown(member.name)}")
        # Never setuid, setgid or sticky, never for others to write, and always for this user to read and write.
        mode = stat.S_IRUSR | stat.S_IWUSR | member.mode & (0o755 if member.mode & stat.S_IXUSR else 0o644)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(place, flags, 0o600), "wb") as file:
            shutil.copyfileobj(content, file, _COPY_BYTES)
            if file.tell() != member.size:
                raise ArchiveError(f"the archive ends within a member: {shown(member.name)}")
            os.fchmod(file.fileno(), mode)
        with suppress(OverflowError, ValueError, OSError):
            os.utime(place, (member.mtime, member.mtime))

    def _clear(self, path: tuple[str, ...], member: tarfile.TarInfo) -> None:
        """Remove what is in the way of a member: without this, a file would be written through a link."""
        if not self._is_image and _is_folder(self._place(path)):
            raise ArchiveError(f"the archive has a member in the place of a folder: {shown(member.name)}")
        self._delete(path)

    def _delete(self, path: tuple[str, ...]) -> None:
        place = self._place(path)
        if _is_folder(place):
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        # Links that were below it are found to be gone when they are checked.
        self._budget.links.pop(path, None)


def _each_member(stream: Readable, put: Callable[[tarfile.TarFile, tarfile.TarInfo], object]) -> None:
    name = ""
    try:
        for archive, member in read_members(stream):
            name = member.name
            put(archive, member)
    except ArchiveError:
        raise
    except (
        BrokenTarError,
        tarfile.TarError,
        EOFError,
        zlib.error,
        OSError,
        ValueError,
        RecursionError,
    ) as error:
        where = f" (at {shown(name)})" if name else ""
        raise ArchiveError(f"the archive cannot be unpacked: {error}{where}") from error


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()
