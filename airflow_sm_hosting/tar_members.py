"""The members of a tar archive that others made, read one after the other, with limits on what a header may cost.

The standard library's tarfile reads extended headers of any size into memory, and versions of it do not end on some of them
(CVE-2025-8194); its names, links and modes are for the caller to judge.
"""

from __future__ import annotations

import gzip
import re
import tarfile
from collections.abc import Iterator
from typing import Any, Protocol, cast

#: The most bytes of one extended header: a name, or the records of a PAX header. Linux has names of 4096 bytes.
MAX_HEADER_BYTES = 256 * 1024
# A member has one of each kind of extended header at most.
_MAX_HEADERS_IN_A_ROW = 8
# Git writes one; all of them are kept in memory until the end.
_MAX_GLOBAL_HEADERS = 16
_EXTENDED = (
    *(tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.XGLTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


_GZIP_MAGIC = b"\x1f\x8b"
# tarfile searches for a number before a word, which takes the square of its length (CVE-2024-6232); no name is longer.
_LONG_NUMBER = re.compile(rb"\d{256}")


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""


class BrokenTarError(ValueError):
    """An archive is damaged, or no archive; or has headers that nobody needs."""


def read_members(
    stream: Readable, *, bufsize: int = 64 * 1024
) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each member, and the archive for its content, which must be read before the next one is asked for.

    :param stream: The archive, not compressed, at its start; it need not be seekable.
    :param bufsize: How many bytes are read at once.
    :raises BrokenTarError: It cannot be read.
    :raises EOFError: It ends within a member.
    """
    name = ""
    try:
        with tarfile.open(  # type: ignore[call-overload]
            fileobj=_Ending(stream), mode="r|", bufsize=bufsize, tarinfo=_Member, errorlevel=2
        ) as archive:
            while (member := archive.next()) is not None:
                name = member.name
                # Else a list of all of them is kept.
                archive.members = []
                archive.headers_in_a_row = 0
                if member.size < 0:
                    raise BrokenTarError(f"the member {shown(name)} has a negative size")
                yield archive, member
    except (tarfile.TarError, UnicodeError, ValueError, KeyError, OverflowError, RecursionError) as error:
        if isinstance(error, BrokenTarError):
            raise
        where = f" (behind {shown(name)})" if name else ""
        raise BrokenTarError(f"{error}{where}") from error


def decompressed(stream: Readable) -> Readable:
    """Return what a stream has, inflated piece by piece where it is gzip.

    :param stream: At its start; it need not be seekable.
    """
    pushed = _Pushed(stream.read(len(_GZIP_MAGIC)), stream)
    if pushed.data != _GZIP_MAGIC:
        return pushed
    # Nobody goes back in it, so that it need not be seekable.
    return gzip.GzipFile(fileobj=cast("Any", pushed), mode="rb")


def shown(name: str) -> str:
    """Return a name as messages show it: no longer than one reads, and without what a terminal obeys."""
    return repr(name if len(name) <= 100 else f"{name[:60]}…{name[-30:]}")


class _Member(tarfile.TarInfo):
    """A header, with limits. ``_proc_member`` is where tarfile has subclasses change what is done with one."""

    def _proc_member(self, archive: Any) -> tarfile.TarInfo:
        if self.size < 0:
            raise BrokenTarError(f"the member {shown(self.name)} has a negative size")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise _sparse(self.name)
        if self.type in _EXTENDED:
            archive.headers_in_a_row = getattr(archive, "headers_in_a_row", 0) + 1
            if archive.headers_in_a_row > _MAX_HEADERS_IN_A_ROW:
                raise BrokenTarError(f"the member {shown(self.name)} has too many extended headers")
            if self.size > MAX_HEADER_BYTES:
                raise BrokenTarError(
                    f"the member {shown(self.name)} is an extended header of {self.size} bytes; {MAX_HEADER_BYTES} are allowed"
                )
        if self.type == tarfile.XGLTYPE:
            archive.global_headers = getattr(archive, "global_headers", 0) + 1
            if archive.global_headers > _MAX_GLOBAL_HEADERS:
                raise BrokenTarError("the archive has too many global headers")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found

    def _proc_pax(self, archive: Any) -> tarfile.TarInfo:
        stream = archive.fileobj
        data = stream.read(self._block(self.size))  # type: ignore[attr-defined]
        _check_records(data[: self.size], self.name)
        archive.fileobj = _Pushed(data, stream)
        try:
            found: tarfile.TarInfo = super()._proc_pax(archive)  # type: ignore[misc]
        finally:
            archive.fileobj = stream
        return found

    def _proc_gnusparse_00(self, next: tarfile.TarInfo, *_: Any) -> None:
        raise _sparse(next.name)

    def _proc_gnusparse_01(self, next: tarfile.TarInfo, *_: Any) -> None:
        raise _sparse(next.name)

    def _proc_gnusparse_10(self, next: tarfile.TarInfo, *_: Any) -> None:
        raise _sparse(next.name)


class _Ending:
    """A stream that is not read on and on behind its end: tarfile passes over a member of any size block by block."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._reads_behind = 0

    def read(self, size: int) -> bytes:
        data: bytes = self._stream.read(size)
        if not data:
            self._reads_behind += 1
            # Finding that there is no further member takes one or two.
            if self._reads_behind > 4:
                raise EOFError("the archive ends within a member")
        return data


class _Pushed:
    """A stream with some bytes pushed back, which the next read returns."""

    def __init__(self, data: bytes, stream: Any) -> None:
        self.data = data
        self._stream = stream

    def read(self, size: int = -1, /) -> bytes:
        if self.data:
            data, self.data = self.data, b""
            return data
        return bytes(self._stream.read(size))

    def tell(self) -> int:
        return int(self._stream.tell())


def _check_records(data: bytes, name: str) -> None:
    """Check that an extended header is nothing but records: ``<length> <keyword>=<value>`` and a line end (POSIX.1-2008, pax).

    :raises BrokenTarError: It is not.
    """
    position = 0
    while position < len(data) and data[position]:
        length, space, _ = data[position : position + 8].partition(b" ")
        end = position + int(length) if space and length.isdigit() else -1
        record = data[position:end]
        if not position < end <= len(data) or not record.endswith(b"\n") or b"=" not in record:
            raise BrokenTarError(f"the member {shown(name)} has a malformed extended header")
        position = end
    if _LONG_NUMBER.search(data):
        raise BrokenTarError(f"the member {shown(name)} has a number of more than 255 digits in its header")


def _sparse(name: str) -> BrokenTarError:
    return BrokenTarError(f"the member {shown(name)} is a sparse file; pack it without --sparse")
