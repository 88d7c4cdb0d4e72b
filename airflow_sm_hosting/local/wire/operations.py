"""Which operation a request asks for, and on which resource, in the words of the AWS API reference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from werkzeug.wrappers import Request

from airflow_sm_hosting.local.wire.requests import read_body

#: Smithy's RPC protocol: https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
RPC_PATH = re.compile(r"/service/[^/]+/operation/(\w+)")
#: The paths of the SageMaker runtime, which is signed for as SageMaker.
RUNTIME_PATH = re.compile(r"/endpoints/(?P<endpoint>[^/]+)/(?P<kind>[a-z-]+)")
#: The operations of the runtime by the last part of their path.
RUNTIME_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
# The members of a request that name its resource, for the request log; the first one counts.
_RESOURCE_MEMBERS = (
    "InferenceComponentName",
    "EndpointName",
    "EndpointConfigName",
    "ModelName",
    "ModelPackageArn",
    "ModelPackageName",
    "ModelPackageGroupName",
    "ResourceArn",
    "ResourceId",
    "repositoryName",
    "projectName",
    "logGroupName",
)
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
    "BatchDescribe",
    "Invoke",
    "Lookup",
    "Search",
)


def operation_name(request: Request, service: str) -> str:
    """Return the operation that a request asks for, in the spelling of the AWS API reference.

    The body is looked at if it was read; nothing is read.
    """
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    if match := RPC_PATH.fullmatch(request.path):
        return match[1]
    if service == "s3":
        return _s3_operation(request)
    if action := request.args.get("Action"):
        return action
    body = read_body(request)
    if body and request.mimetype == "application/x-www-form-urlencoded":
        match = re.search(r"(?:^|&)Action=(\w+)", body.decode("latin-1"))
        if match:
            return match[1]
    return f"{request.method} {request.path.split('/')[1] or '/'}"


def invocation(request: Request) -> tuple[str, str] | None:
    """Return the operation of the SageMaker runtime and the endpoint's name, or None for another path."""
    match = RUNTIME_PATH.fullmatch(request.path)
    if match is None or match["kind"] not in RUNTIME_OPERATIONS:
        return None
    return RUNTIME_OPERATIONS[match["kind"]], match["endpoint"]


def named_resource(members: Mapping[str, Any]) -> str | None:
    """Return the name of the resource of a request, None where it names none."""
    found = next((members[member] for member in _RESOURCE_MEMBERS if member in members), None)
    return found if isinstance(found, str) else None


def changes_something(operation: str, method: str) -> bool:
    """Return whether an operation creates, changes or deletes something."""
    if operation.startswith(("GET ", "HEAD ")) or method in ("GET", "HEAD", "OPTIONS"):
        # The query protocol may use GET for everything, but no SDK does.
        return False
    return operation not in _READING_OPERATIONS and not operation.startswith(_READING_PREFIXES)


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
    if "uploads" in args and not key:
        return "ListMultipartUploads"
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
