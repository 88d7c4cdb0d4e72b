"""Image layers: reading those of a base image, writing new ones that are the same bytes every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.tar_members import BrokenTarError, decompressed, read_members, shown

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
#: Other names that begin so are bookkeeping of AUFS, and delete nothing (moby, pkg/archive, WhiteoutMetaPrefix).
_AUFS = ".wh..wh."
_LINKS_LIMIT = 40  # as Linux has it


@dataclass(frozen=True)
class LayerFile:
    """Something to put into a layer.

    :param path: absolute, normalized
    :param mode: permission bits
    :param content: opens the content of a file; None for folders and links
    :param target: of a symbolic link
    """

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    content: Callable[[], BinaryIO] | None = None
    target: str | None = None

    @property
    def is_directory(self) -> bool:
        """Whether it is a folder."""
        return self.content is None and self.target is None


@dataclass(frozen=True)
class Layer:
    """A layer on this machine.

    :param path: the compressed tar
    :param digest: of the compressed tar: what the registry calls it
    :param diff_id: digest of the tar: what the image's configuration calls it
    :param size: bytes, compressed
    """

    path: Path
    digest: str
    diff_id: str
    size: int


class ImageTree:
    """The content of an image's file system: folders, with owner and mode, links, and the rest.

    It is needed because a layer that only names ``bin/tool`` would put a new folder in the place of a base image's
    ``/bin``, which is a link to ``/usr/bin`` in today's distributions, and take away the modes of folders like ``/tmp``.
    """

    def __init__(self) -> None:
        self._entries: dict[str, LayerFile] = {"/": LayerFile("/", 0o755)}

    def is_directory(self, path: str) -> bool:
        """Return whether the path is a folder, following links."""
        entry = self._entries.get(self.resolve(path))
        return entry is not None and entry.is_directory

    def resolve(self, path: str) -> str:
        """Return the path with the symbolic links of the image followed."""
        for _ in range(_LINKS_LIMIT):
            followed = self._follow_first_link(path)
            if followed is None:
                return path
            path = followed
        raise ImageBuildError(f"The base image has a circular link at {path}")

    def parents(self, path: str) -> list[LayerFile]:
        """Return the parent folders of a path, as they are in the image or as they must be made."""
        folders: list[LayerFile] = []
        while path != "/":
            path = posixpath.dirname(path)
            if path != "/":
                entry = self._entries.get(path)
                folders.append(entry if entry and entry.is_directory else LayerFile(path, 0o755))
        return folders[::-1]

    def add(self, files: Iterable[LayerFile]) -> None:
        """Add the content of a new layer."""
        for file in files:
            self._put(file)

    def apply(self, layer: BinaryIO) -> None:
        """Add the content of a base image's layer, a tar that may be compressed.

        Whiteouts delete what the layers below have, wherever they stand in the layer, and nothing of the layer itself (OCI image
        specification, layer.md, "Whiteouts").

        :raises ImageBuildError: It is damaged, or hostile.
        """
        added: list[LayerFile] = []
        try:
            for _, member in read_members(decompressed(layer)):
                if (file := self._apply_member(member)) is not None:
                    added.append(file)
        except (BrokenTarError, EOFError, OSError, zlib.error) as error:
            raise ImageBuildError(f"A layer of the base image cannot be read: {error}") from error
        self.add(added)

    def _apply_member(self, member: tarfile.TarInfo) -> LayerFile | None:
        """Delete what a whiteout means, and return None; or return what a member adds."""
        path = _absolute(member.name)
        folder, name = posixpath.split(path)
        if name == _OPAQUE:
            self._remove_below(folder)
        elif name.startswith(_AUFS):
            pass
        elif name.startswith(_WHITEOUT):
            gone = name.removeprefix(_WHITEOUT)
            if gone in ("", ".", ".."):
                # It would delete the folder that it lies in, or the one above.
                raise BrokenTarError(f"the member {shown(member.name)} is a whiteout of no name")
            self._remove(posixpath.join(folder, gone))
        elif member.isdir():
            return LayerFile(path, member.mode & 0o7777, member.uid, member.gid)
        elif member.issym():
            return LayerFile(path, 0o777, target=member.linkname)
        else:
            return LayerFile(path, 0o644, content=io.BytesIO)
        return None

    def _put(self, file: LayerFile) -> None:
        if not file.is_directory:
            self._remove_below(file.path)
        self._entries[file.path] = file

    def _remove(self, path: str) -> None:
        self._remove_below(path)
        self._entries.pop(path, None)

    def _remove_below(self, path: str) -> None:
        known = self._entries.get(path)
        if known is not None and not known.is_directory:
            return
        # A layer need not name the folders of its files.
        prefix = path.rstrip("/") + "/"
        for gone in [name for name in self._entries if name.startswith(prefix) and name != "/"]:
            del self._entries[gone]

    def _follow_first_link(self, path: str) -> str | None:
        parts = path.strip("/").split("/")
        for count in range(1, len(parts) + 1):
            head = "/" + "/".join(parts[:count])
            entry = self._entries.get(head)
            if entry is not None and entry.target is not None:
                target = posixpath.join(posixpath.dirname(head), entry.target)
                return _absolute(posixpath.join(target, *parts[count:]))
        return None


def write_layer(files: Iterable[LayerFile], tree: ImageTree, path: Path) -> Layer:
    """Write a layer: sorted, without times, with the folders that lead to each file; and take it into the tree.

    :param files: what the layer adds; the last one of a path counts
    :param tree: the image so far
    :param path: where to write it
    :raises ImageBuildError: a name that means a deletion
    """
    members: dict[str, LayerFile] = {}
    own = {file.path: file for file in files if file.path != "/"}
    for file in own.values():
        if any(name.startswith(_WHITEOUT) for name in file.path.split("/")):
            raise ImageBuildError(
                f"{file.path} cannot be in an image: in a layer, a name that begins with {_WHITEOUT!r} deletes the file of the name behind it; "
                "rename it, or leave it out with .dockerignore"
            )
        for parent in tree.parents(file.path):
            members.setdefault(parent.path, parent)
    members |= own
    with path.open("wb") as raw:
        compressed = _HashingWriter(raw)
        # The header without name and time, so that the same files are the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=compressed, compresslevel=6, mtime=0) as zipped:
            plain = _HashingWriter(zipped)
            with tarfile.open(fileobj=plain, mode="w|", format=tarfile.PAX_FORMAT) as archive:
                for name in sorted(members, key=os.fsencode):
                    _write_member(archive, members[name])
    tree.add(members.values())
    return Layer(
        path=path,
        digest=f"sha256:{compressed.digest.hexdigest()}",
        diff_id=f"sha256:{plain.digest.hexdigest()}",
        size=path.stat().st_size,
    )


def _write_member(archive: tarfile.TarFile, file: LayerFile) -> None:
    info = tarfile.TarInfo(file.path.lstrip("/"))
    info.mode, info.uid, info.gid = file.mode, file.uid, file.gid
    if file.content is not None:
        with file.content() as content:
            info.size = os.fstat(content.fileno()).st_size
            archive.addfile(info, content)
        return
    if file.target is not None:
        info.type, info.linkname = tarfile.SYMTYPE, file.target
    else:
        info.type = tarfile.DIRTYPE
    archive.addfile(info)


class _HashingWriter(io.RawIOBase):
    def __init__(self, file: BinaryIO | gzip.GzipFile) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        content = memoryview(data).cast("B")  # type: ignore[arg-type]
        self.digest.update(content)
        self._file.write(content)
        return len(content)


def _absolute(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))
