"""How large the body of a request may be, and the refusal of a larger one."""

from __future__ import annotations

import zlib
from typing import IO

from airflow_sm_hosting.local.wire.errors import AwsError

_MIB = 1024**2
#: API_PutObject.html: "Single PUT Operation" up to 5 GB; the same for a part (qfacts.html).
S3_OBJECT_BYTES = 5 * 1024**3
#: A CompleteMultipartUpload of 10,000 parts with checksums is the largest XML of S3.
_S3_XML_BYTES = 8 * _MIB
#: ECR's largest layer: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
LAYER_BYTES = 52_000 * _MIB
#: The admin API's.
ADMIN_BYTES = _MIB
# Services of which AWS takes more than of the others: layer parts of ECR, and code of Lambda (50 MB), both as base64 in JSON.
_API_BYTES = {"ecr": 72 * _MIB, "lambda": 72 * _MIB}
# DynamoDB's BatchWriteItem has the largest documented: 16 MB.
_OTHER_API_BYTES = 16 * _MIB
_S3_UPLOADS = ("PutObject", "UploadPart", "PostObject")
_CHUNK_BYTES = 64 * 1024


def most_bytes(service: str, operation: str | None) -> int:
    """Return how many bytes the body of a request may have.

    :param service: The service that it is for.
    :param operation: The operation of S3; others do not depend on it.
    """
    if service == "s3":
        return S3_OBJECT_BYTES if operation in _S3_UPLOADS else _S3_XML_BYTES
    return _API_BYTES.get(service, _OTHER_API_BYTES)


def too_large(service: str | None, most: int) -> AwsError:
    """Return the refusal of a body with more bytes than allowed."""
    message = f"The body of the request is larger than the {most} bytes that are allowed."
    if service == "s3":
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        code = "EntityTooLarge" if most == S3_OBJECT_BYTES else "MaxMessageLengthExceeded"
        return AwsError(code, message, status=400)
    # The code is assumed; the status is HTTP's.
    return AwsError("RequestEntityTooLargeException", message, status=413)


def copy_body(source: IO[bytes], target: IO[bytes], most: int, refusal: AwsError) -> int:
    """Copy a body, and return its size.

    :param most: How many bytes it may have.
    :param refusal: Raised where it has more; no more of it is read then.
    """
    size = 0
    while data := source.read(min(_CHUNK_BYTES, most + 1 - size)):
        size += len(data)
        if size > most:
            raise refusal
        target.write(data)
    return size


def gunzipped(data: bytes, most: int, refusal: AwsError) -> bytes:
    """Return a body that SDKs have compressed (``Content-Encoding: gzip``).

    :param most: How many bytes it may have.
    :param refusal: Raised where it has more.
    :raises AwsError: Also when it is not gzip.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(data, most + 1)
    except zlib.error:
        plain = b""
    if len(plain) > most:
        raise refusal
    if not inflater.eof or inflater.unused_data:
        raise AwsError("SerializationException", "The body is not gzip, as its Content-Encoding says.")
    return plain
