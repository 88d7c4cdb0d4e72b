"""The checksums that S3 computes of what it is sent.

.. seealso:: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable

from airflow_sm_hosting.local.wire.errors import AwsError

#: By the end of the header; CRC-32C and CRC-64/NVME are in no library that this package has.
ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


def check_checksums(header: Callable[[str], str | None], read: Callable[[], bytes | None]) -> None:
    """Check that bytes have the checksums that the headers of their request give.

    :param header: Returns a header of the request, or None.
    :param read: Returns the bytes; None where they are not known.
    :raises AwsError: When they have another one: ``BadDigest``.
    """
    for name, compute in ALGORITHMS.items():
        said = header(f"x-amz-checksum-{name}")
        data = read() if said else None
        if data is not None and base64.b64encode(compute(data)).decode() != said:
            message = f"The {name.upper()} you specified did not match the calculated checksum."
            raise AwsError("BadDigest", message, status=400)
