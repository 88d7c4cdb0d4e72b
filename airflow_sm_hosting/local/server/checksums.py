"""Check the checksums of uploads to S3, which moto stores as they are sent.

.. seealso:: https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.moto_bridge import s3
from airflow_sm_hosting.local.server.incoming import Following, IncomingRequest
from airflow_sm_hosting.local.wire.errors import AwsError

#: What S3 computes, by the header's end; CRC-32C and CRC-64/NVME are in no library that this package has.
ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


class CheckChecksums:
    """Refuses an upload whose bytes have another checksum than its headers say: ``BadDigest``."""

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or refuse."""
        if asked.service == "s3" and asked.request.method in ("PUT", "POST"):
            for name, compute in ALGORITHMS.items():
                said = asked.request.headers.get(f"x-amz-checksum-{name}")
                data = _bytes_of(asked.request) if said else None
                if data is not None and base64.b64encode(compute(data)).decode() != said:
                    message = f"The {name.upper()} you specified did not match the calculated checksum."
                    return asked.refuse(AwsError("BadDigest", message, status=400))
        return following()


def _bytes_of(request: Request) -> bytes | None:
    """Return the bytes of which a request gives the checksum; None where that is not the whole body."""
    if request.method == "PUT":
        # A body in chunks has its checksum in a trailer.
        return None if "aws-chunked" in request.headers.get("Content-Encoding", "") else request.get_data()
    bucket, _, key = request.path.lstrip("/").partition("/")
    upload_id = request.args.get("uploadId")
    return s3.uploaded_parts(bucket, key, upload_id) if upload_id else None
