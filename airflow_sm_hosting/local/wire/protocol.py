"""How AWS requests say who asks for what, and how AWS services word their refusals."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from werkzeug.wrappers import Request, Response

_SIGV4_HEADER = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_SIGV4_QUERY = re.compile(r"([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_SIGV2_HEADER = re.compile(r"AWS ([^:\s]+):")
_RPC_PATH = re.compile(r"/service/[^/]+/operation/(\w+)")
_ERROR_CODE = re.compile(r'"__type":\s*"(?:[^"#]*#)?(\w+)"|<Code>([\w.]+)</Code>')

# Operations that change nothing, though their names do not begin as reading ones do.
_READING_OPERATIONS = {
    "GetAuthorizationToken",
    "AssumeRole",
    "FilterLogEvents",
    "StartQuery",
    "Query",
    "Scan",
}
_READING_PREFIXES = (
    "Describe",
    "List",
    "Get",
    "Head",
    "BatchGet",
    "BatchCheck",
    "Invoke",
    "Lookup",
    "Search",
)


class AwsError(Exception):
    """A refusal, as an AWS service answers it.

    :param code: Error code: ``ValidationException``.
    :param message: The service's sentence.
    :param status: HTTP status.
    :param details: More members of the error's body.
    """

    def __init__(self, code: str, message: str, *, status: int = 400, details: dict[str, Any] | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.details = details or {}


@dataclass(frozen=True)
class Credential:
    """Who signed a request, and for which Region and service."""

    access_key: str
    region: str | None
    service: str | None


def credential(request: Request) -> Credential | None:
    """Return the credential of a signed or presigned request, or None for an anonymous one."""
    authorization = request.headers.get("Authorization", "")
    if match := _SIGV4_HEADER.search(authorization):
        return Credential(*match.groups())
    if match := _SIGV4_QUERY.fullmatch(request.args.get("X-Amz-Credential", "")):
        return Credential(*match.groups())
    # Signature version 2: old S3 clients and presigned URLs of Regions that still take them.
    if match := _SIGV2_HEADER.match(authorization):
        return Credential(match[1], None, "s3")
    if key := request.args.get("AWSAccessKeyId"):
        return Credential(key, None, "s3")
    return None


def operation_name(request: Request, service: str) -> str:
    """Return the operation that a request asks for, in the spelling of the AWS API reference."""
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if match := _RPC_PATH.fullmatch(request.path):
        return match[1]
    if service == "s3":
        return _s3_operation(request)
    if action := request.args.get("Action"):
        return action
    if request.mimetype == "application/x-www-form-urlencoded":
        # Read once and kept: moto reads the body again.
        match = re.search(r"(?:^|&)Action=(\w+)", request.get_data(cache=True).decode("latin-1"))
        if match:
            return match[1]
    return f"{request.method} {request.path.split('/')[1] or '/'}"


def changes_something(operation: str, method: str) -> bool:
    """Tell whether an operation creates, changes or deletes something."""
    if operation.startswith(("GET ", "HEAD ")) or method in ("GET", "HEAD", "OPTIONS"):
        # The query protocol may use GET for everything, but no SDK does.
        return False
    return operation not in _READING_OPERATIONS and not operation.startswith(_READING_PREFIXES)


def error_code(body: bytes) -> str | None:
    """Return the error code in the body of a refusal, whichever protocol it is in."""
    match = _ERROR_CODE.search(body[:4096].decode("utf-8", "replace"))
    return (match[1] or match[2]) if match else None


def json_response(body: Any, *, status: int = 200) -> Response:
    """Return an answer in the JSON 1.1 protocol."""
    return Response(
        json.dumps(body, default=_json_value), status=status, content_type="application/x-amz-json-1.1"
    )


def error_response(error: AwsError) -> Response:
    """Return a refusal in the JSON protocols."""
    body = {"__type": error.code, "message": error.message, "Message": error.message, **error.details}
    response = json_response(body, status=error.status)
    response.headers["x-amzn-ErrorType"] = error.code
    return response


def refusal_response(request: Request, service: str | None, error: AwsError) -> Response:
    """Return a refusal in the protocol that a request is in, for services of all protocols."""
    if _RPC_PATH.fullmatch(request.path):
        # https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
        response = Response(
            b"\xa2" + b"".join(map(_cbor_text, ("__type", error.code, "message", error.message))),
            status=error.status,
            content_type="application/cbor",
        )
        response.headers["smithy-protocol"] = "rpc-v2-cbor"
        return response
    if "X-Amz-Target" in request.headers or service in ("sagemaker", "sagemaker-runtime"):
        return error_response(error)
    body = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    if service in (None, "s3"):
        body = f"<Error>{body}</Error>"
    else:
        body = f"<ErrorResponse><Error><Type>Sender</Type>{body}</Error></ErrorResponse>"
    return Response(body, status=error.status, content_type="text/xml")


def _cbor_text(text: str) -> bytes:
    data = text.encode()
    # Major type 3, with a length of four bytes: RFC 8949, section 3.
    return b"\x7a" + len(data).to_bytes(4, "big") + data


def unknown_key_response(request: Request, service: str | None) -> Response:
    """Return the refusal of an unknown access key, in the words and the format of the service asked."""
    message = (
        "The security token included in the request is invalid. (This local AWS takes only the access key that "
        "`sm-hosting local up` printed; `sm-hosting local connection` shows it again.)"
    )
    if service in (None, "s3"):
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        code = "InvalidAccessKeyId"
    elif "X-Amz-Target" in request.headers or _RPC_PATH.fullmatch(request.path) or service == "sagemaker":
        # https://docs.aws.amazon.com/awssupport/latest/APIReference/CommonErrors.html
        code = "UnrecognizedClientException"
    else:
        code = "InvalidClientTokenId"
    return refusal_response(request, service, AwsError(code, message, status=403))


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        # JSON 1.1 has timestamps as seconds since the epoch.
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")


def now() -> datetime:
    """Return the time, in UTC, to the millisecond as AWS has it."""
    time = datetime.now(UTC)
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def _s3_operation(request: Request) -> str:
    key = request.path.lstrip("/").partition("/")[2]
    verb = {"GET": "Get", "PUT": "Put", "DELETE": "Delete", "HEAD": "Head", "POST": "Post"}.get(
        request.method, request.method
    )
    args = request.args
    if not request.path.strip("/"):
        return "ListBuckets"
    if "uploadId" in args:
        return {
            "PUT": "UploadPart",
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
        }.get(request.method, "ListParts")
    if key and request.method == "POST":
        return "CreateMultipartUpload" if "uploads" in args else "PostObject"
    if request.method == "POST" and "delete" in args:
        return "DeleteObjects"
    known = (
        "tagging",
        "acl",
        "versioning",
        "policy",
        "location",
        "lifecycle",
        "cors",
        "encryption",
        "versions",
    )
    sub = next((name.capitalize() for name in known if name in args), "")
    if key:
        if request.method == "PUT" and "x-amz-copy-source" in request.headers:
            return "CopyObject"
        return f"{verb}Object{sub}"
    if sub:
        return f"{verb}Bucket{sub}"
    return {
        "GET": "ListObjectsV2" if "list-type" in args else "ListObjects",
        "PUT": "CreateBucket",
        "DELETE": "DeleteBucket",
        "HEAD": "HeadBucket",
    }.get(request.method, "PostObject")
