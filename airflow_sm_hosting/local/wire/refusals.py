"""Refusals, in whichever protocol a request is in: the only writer of them."""

from __future__ import annotations

import json
import re
from enum import Enum, auto
from xml.sax.saxutils import escape

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.operations import RPC_PATH, RUNTIME_PATH
from airflow_sm_hosting.local.wire.responses import json_response

#: The name of the container registry among the services; it is signed for by no one.
REGISTRY = "registry"
_CODE = re.compile(r'"__type":\s*"(?:[^"#]*#)?(\w+)"|<Code>([\w.]+)</Code>')


class Wire(Enum):
    """The protocols in which a request can be."""

    JSON = auto()
    CBOR = auto()
    QUERY = auto()
    S3 = auto()
    REGISTRY = auto()


def wire_of(request: Request, service: str | None) -> Wire:
    """Return the protocol of a request.

    :param service: The service that it is for: ``sagemaker``, ``s3``, ``registry``, … None: unknown.
    """
    if service == REGISTRY:
        return Wire.REGISTRY
    if RPC_PATH.fullmatch(request.path):
        return Wire.CBOR
    if "X-Amz-Target" in request.headers or service in ("sagemaker", "sagemaker-runtime"):
        return Wire.JSON
    return Wire.S3 if service in (None, "s3") else Wire.QUERY


def refusal_response(request: Request, service: str | None, error: AwsError) -> Response:
    """Return a refusal in the protocol of the request."""
    match wire_of(request, service):
        case Wire.JSON:
            return json_refusal(error)
        case Wire.CBOR:
            # https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
            texts = map(_cbor_text, ("__type", error.code, "message", error.message))
            response = Response(
                b"\xa2" + b"".join(texts), status=error.status, content_type="application/cbor"
            )
            response.headers["smithy-protocol"] = "rpc-v2-cbor"
            return response
        case Wire.REGISTRY:
            # https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
            body = json.dumps({"errors": [{"code": error.code, "message": error.message}]})
            return Response(body, status=error.status, content_type="application/json")
        case Wire.S3:
            return Response(f"<Error>{_xml(error)}</Error>", status=error.status, content_type="text/xml")
    body = f"<ErrorResponse><Error><Type>Sender</Type>{_xml(error)}</Error></ErrorResponse>"
    return Response(body, status=error.status, content_type="text/xml")


def json_refusal(error: AwsError) -> Response:
    """Return a refusal in the JSON protocols."""
    body = {"__type": error.code, "message": error.message, "Message": error.message, **error.details}
    response = json_response(body, status=error.status)
    response.headers["x-amzn-ErrorType"] = error.code
    return response


def refusal_code(body: bytes) -> str | None:
    """Return the error code in the body of a refusal in JSON or XML."""
    match = _CODE.search(body[:4096].decode("utf-8", "replace"))
    return (match[1] or match[2]) if match else None


def unknown_key(request: Request, service: str | None) -> AwsError:
    """Return the refusal of an unknown access key, with the code of the service asked."""
    message = (
        "The security token included in the request is invalid. (This local AWS accepts only the access key "
        "that `sm-hosting local up` printed; `sm-hosting local connection` shows it again.)"
    )
    if service in (None, "s3"):
        # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
        code = "InvalidAccessKeyId"
    elif wire_of(request, service) in (Wire.JSON, Wire.CBOR):
        # https://docs.aws.amazon.com/awssupport/latest/APIReference/CommonErrors.html
        code = "UnrecognizedClientException"
    else:
        code = "InvalidClientTokenId"
    return AwsError(code, message, status=403)


def unknown_region(request: Request, service: str | None) -> AwsError:
    """Return the refusal of a request that is signed for a Region that there is not, with the code of the service asked.

    The codes: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html (credential scope) and
    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; which service has which is assumed.
    """
    message = "Credential should be scoped to a valid Region."
    match wire_of(request, service):
        case Wire.S3:
            return AwsError(
                "AuthorizationHeaderMalformed", f"The authorization header is malformed: {message}"
            )
        case Wire.JSON | Wire.CBOR:
            return AwsError("InvalidSignatureException", message, status=403)
    return AwsError("SignatureDoesNotMatch", message, status=403)


def access_denied(request: Request, service: str, message: str) -> AwsError:
    """Return the refusal of a request that IAM does not allow, with code and status of the service asked."""
    match wire_of(request, service):
        case Wire.REGISTRY:
            return AwsError("DENIED", message, status=403)
        case Wire.JSON | Wire.CBOR:
            # 400 in the RPC protocols; 403 in the REST protocol of the runtime.
            status = 403 if RUNTIME_PATH.match(request.path) else 400
            code = "AccessDenied" if service in ("monitoring", "s3") else "AccessDeniedException"
            return AwsError(code, message, status=status)
    return AwsError("AccessDenied", message, status=403)


def _xml(error: AwsError) -> str:
    return f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"


def _cbor_text(text: str) -> bytes:
    data = text.encode()
    # Major type 3, with a length of four bytes: RFC 8949, section 3.
    return b"\x7a" + len(data).to_bytes(4, "big") + data
