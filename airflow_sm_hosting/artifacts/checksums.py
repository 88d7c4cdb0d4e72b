"""The CRC-32s by which S3 proves that it has a file: of the whole, and of the parts in which it is sent.

.. seealso:: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from isal import isal_zlib

#: A part is a call of 2 ms of CPU, and what an interrupted upload loses for each thread.
PART_SIZE = 32 * 1024 * 1024


def base64_of(crc32: int) -> str:
    """Return a CRC-32 as S3 writes it."""
    return base64.b64encode(crc32.to_bytes(4, "big")).decode()


@dataclass(frozen=True)
class Checksums:
    """The CRC-32 of a file, and of its pieces.

    :param crc32: Of the file.
    :param piece_size: Bytes of a piece; the last one may be shorter. Parts are pieces, or several pieces each.
    :param pieces: Of each piece, if they are known.
    """

    crc32: int
    piece_size: int = field(default_factory=lambda: PART_SIZE)
    pieces: tuple[int, ...] = ()


class RunningChecksums:
    """Computes the checksums of bytes that pass by."""

    def __init__(self) -> None:
        self._crc32 = 0
        self._piece_size = PART_SIZE
        self._pieces = [0]
        self._left = PART_SIZE

    def update(self, data: bytes | memoryview, /) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        self._crc32 = isal_zlib.crc32(view, self._crc32)
        while view:
            if not self._left:
                self._pieces.append(0)
                self._left = self._piece_size
            now, view = view[: self._left], view[self._left :]
            self._pieces[-1] = isal_zlib.crc32(now, self._pieces[-1])
            self._left -= len(now)

    @property
    def checksums(self) -> Checksums:
        """The checksums of what has passed."""
        return Checksums(self._crc32, self._piece_size, tuple(self._pieces))
