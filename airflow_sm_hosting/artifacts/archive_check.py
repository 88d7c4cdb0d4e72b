"""Read an archive of model data once: hash it, and check that SageMaker can unpack it, in the same pass.

.. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, "How SageMaker loads your model artifacts"
"""

from __future__ import annotations

import hashlib
import posixpath
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from isal import isal_zlib

from airflow_sm_hosting.artifacts.checksums import Checksums, RunningChecksums
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelDataError
from airflow_sm_hosting.tar_members import BrokenTarError, read_members

ARCHIVE_SUFFIX = ".tar.gz"
#: Suffixes of archives that nothing unpacks when they lie in an archive.
ARCHIVES = (ARCHIVE_SUFFIX, ".tgz")
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's number for "32 KiB window, gzip header and trailer"
_BLOCK = 1024 * 1024
#: The type of GNU tar's volume label, which is no file.
_LABEL = b"V"
#: Names in a path with its links followed; more are a circle.
_LONGEST_PATH = 10_000


@dataclass(frozen=True)
class CheckedArchive:
    """What the one read of an archive has found.

    :param sha256: The SHA-256 of the file, in hex.
    :param checksums: Its CRC-32s.
    :param size: Its bytes.
    """

    sha256: str
    checksums: Checksums
    size: int


class Blocks(Protocol):
    """What hands out blocks."""

    def read(self) -> bytes:
        """Return the next block; none at the end."""


def check_archive(
    file: BinaryIO, where: str, allowed: str, on_read: Callable[[int], None] = lambda count: None
) -> CheckedArchive:
    """Read an archive to its end.

    :param file: The archive, at its start.
    :param where: What the errors call it.
    :param allowed: A sentence on what is allowed, for the errors.
    :param on_read: Called with the bytes of each block.
    :raises InvalidSpecError: When it is no gzip-compressed tar file, or holds nothing.
    :raises ModelDataError: When it is damaged, cannot be unpacked safely, or holds nothing but another archive.
    """
    hashed = HashedFile(file, on_read)
    prove_archive(hashed, where, allowed)
    return CheckedArchive(hashed.sha256.hexdigest(), hashed.running.checksums, hashed.size)


def prove_archive(blocks: Blocks, where: str, allowed: str) -> None:
    """Check that an archive can be unpacked.

    :param blocks: The archive, at its start.
    :param where: What the errors call it.
    :param allowed: A sentence on what is allowed, for the errors.
    :raises InvalidSpecError: As ``check_archive``.
    :raises ModelDataError: As ``check_archive``.
    """
    stream = _InflatedStream(blocks)
    members, files, links, end = 0, list[str](), dict[str, str](), 0
    try:
        for archive, member in read_members(stream, bufsize=_BLOCK):
            members += 1
            end = archive.offset
            if member.type == _LABEL:
                continue
            _check_member(member, links, where)
            if not _is_folder(member) and len(files) < 2:
                files.append(member.name)
        stream.drain()
    except _NotGzipError as error:
        raise InvalidSpecError(f"{where} is not compressed with gzip; {allowed}") from error
    except (isal_zlib.error, BrokenTarError, tarfile.TarError, EOFError) as error:  # type: ignore[misc]  # isal has no types
        if not members and "checksum" not in str(error):
            raise InvalidSpecError(
                f"{where} is gzip, but does not contain a tar file ({error}); {allowed}"
            ) from error
        what = "incomplete" if isinstance(error, EOFError) else "damaged"
        raise ModelDataError(f"{where} is {what} ({error}); copy or download it again") from error
    if stream.content_end > end:
        raise ModelDataError(
            f"{where} is damaged: there is something behind its last member, at byte {end}; pack it again"
        )
    if not files:
        raise InvalidSpecError(f"{where} is an empty archive; {allowed}")
    if len(files) == 1 and files[0].lower().endswith(ARCHIVES):
        raise ModelDataError(
            f"{where} holds nothing but the archive {files[0]!r}, which SageMaker does not unpack; give that archive itself"
        )


def _check_member(member: tarfile.TarInfo, links: dict[str, str], where: str) -> None:
    """Check that a member stays below the folder into which the archive is unpacked.

    :param member: The member.
    :param links: The symbolic links before it, by their path; it is added.
    :param where: What the errors call the archive.
    :raises ModelDataError: When it does not, or is a device.
    """
    kind = "link" if member.issym() or member.islnk() else "member"
    paths = [member.name]
    if member.islnk():
        paths.append(member.linkname)
    elif member.issym():
        paths.append(posixpath.join(posixpath.dirname(member.name), member.linkname))
    for one in paths:
        if _resolved(one, links) is None:
            raise ModelDataError(
                f"{where}: the {kind} {member.name!r} leads out of the folder ({one!r}) into which SageMaker unpacks the archive; pack it with "
                "paths below that folder"
            )
    if member.issym():
        links[posixpath.normpath(member.name)] = member.linkname
    if not (_is_folder(member) or member.isfile() or member.issym() or member.islnk()):
        raise ModelDataError(f"{where}: {member.name!r} is not a file, a folder or a link; remove it")


def _is_folder(member: tarfile.TarInfo) -> bool:
    """Return whether a member is a folder, also one of GNU tar's incremental archives."""
    return member.isdir() or member.type == b"D"


def _resolved(path: str, links: dict[str, str]) -> str | None:
    """Return a path with the links of the archive followed; None if it leads out of the folder, or in a circle."""
    followed, names = list[str](), path.split("/")[::-1]
    if path.startswith("/"):
        return None
    for _ in range(_LONGEST_PATH):
        if not names:
            return "/".join(followed)
        match names.pop():
            case "" | ".":
                continue
            case "..":
                if not followed:
                    return None
                followed.pop()
            case name:
                target = links.get("/".join([*followed, name]))
                if target is None:
                    followed.append(name)
                elif target.startswith("/"):
                    return None
                else:
                    names += target.split("/")[::-1]
    return None


class _NotGzipError(Exception):
    """The first bytes are not those of gzip."""


class HashedFile:
    """Hashes a file while it is read.

    :param file: The file, at its start.
    :param on_read: Called with the bytes of each block.
    """

    def __init__(self, file: BinaryIO, on_read: Callable[[int], None] = lambda count: None) -> None:
        self._on_read = on_read
        self.sha256 = hashlib.sha256()
        self.running = RunningChecksums()
        self.size = 0
        self._file = file

    def read(self) -> bytes:
        """Return the next block; none at the end."""
        data = self._file.read(_BLOCK)
        self.sha256.update(data)
        self.running.update(data)
        self.size += len(data)
        self._on_read(len(data))
        return data


class _InflatedStream:
    """Inflates a file that is read."""

    def __init__(self, file: Blocks) -> None:
        #: How much was inflated, and where the last byte is that is not zero.
        self.position = self.content_end = 0
        self._file = file
        self._inflater = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        self._left = b""
        self._begun = False

    def read(self, size: int) -> bytes:
        """Return up to ``size`` inflated bytes; none at the end.

        :raises EOFError: When the file ends within its compressed data.
        """
        while True:
            if self._inflater.eof and not self._next_member():
                return b""
            data = self._left or self._file.read()
            if not self._begun and not data.startswith(GZIP_MAGIC):
                raise _NotGzipError
            self._begun = True
            if not data:
                raise EOFError("the compressed data has no end")
            inflated = self._inflater.decompress(data, size)
            self._left = self._inflater.unconsumed_tail
            if inflated:
                text = inflated.rstrip(b"\0")
                if text:
                    self.content_end = self.position + len(text)
                self.position += len(inflated)
                return bytes(inflated)

    def drain(self) -> None:
        """Read to the end."""
        while self.read(_BLOCK):
            pass

    def _next_member(self) -> bool:
        """Begin the next gzip member, if there is one (RFC 1952, 2.2); zeros behind the last one are padding."""
        rest: bytes = self._inflater.unused_data
        while not rest.strip(b"\0"):
            rest = self._file.read()
            if not rest:
                return False
        self._left = rest.lstrip(b"\0")
        if not self._left.startswith(GZIP_MAGIC[: len(self._left)]):
            raise tarfile.ReadError("something else follows the compressed data")
        self._inflater = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        return True
