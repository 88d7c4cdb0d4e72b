"""Malformed requests by the thousand: ``python -m tests.local.server.fuzz [SEED [COUNT [LOG]]]`` prints what the server answered.

Each is a request of one of the protocols, with wrong values in the shapes of botocore's model, and half of them with their
bytes mutated, the framing too. All are signed with the right key, so that they get as far as they can.
"""

from __future__ import annotations

import base64
import json
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

import botocore.session
import h11
from botocore.model import OperationModel

from airflow_sm_hosting.local import LocalAws
from tests.local.server.raw import exchange, request, signed

#: Services, and what they are signed for, and the protocols in which they are asked.
JSON = (
    "sagemaker",
    "ecr",
    "application-autoscaling",
    "codebuild",
    "logs",
    "dynamodb",
    "secretsmanager",
    "sqs",
    "cloudwatch",
    "resourcegroupstaggingapi",
)
QUERY = ("cloudwatch", "iam", "sts", "sns")
SIGNED_FOR = {"cloudwatch": "monitoring", "resourcegroupstaggingapi": "tagging"}
NAMES = (
    "a",
    "sm-fuzz",
    "",
    "a" * 300,
    "ä",
    "../..",
    "a b",
    "%00",
    "arn:aws:iam::123456789012:role/r",
    "\x00",
    "0",
)
NUMBERS = (0, 1, -1, 2**31, 2**63, -(2**63), 1e308, 10**30, 0.1)
GARBAGE: tuple[Any, ...] = (None, True, [], {}, [[]], [None], {"": None}, {"a": {"b": [1]}}, *NAMES, *NUMBERS)
PIECES = (
    b"\r\n",
    b"\n",
    b"\x00",
    b"\xff\xfe",
    b":",
    b" ",
    b"%",
    b"%2e%2e/",
    b"9" * 40,
    b"-1",
    b"chunked",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"x" * 5_000,
    b"{" * 2_000,
    b"[" * 100_000,
    b"<a>" * 2_000,
    b"\x9f" * 2_000,
)
S3_QUERIES = (
    *(
        "",
        "acl",
        "tagging",
        "policy",
        "versioning",
        "uploads",
        "uploadId=a",
        "partNumber=x&uploadId=a",
        "delete",
    ),
    *(
        "lifecycle",
        "cors",
        "encryption",
        "list-type=2&max-keys=x",
        "max-keys=-1",
        "versions",
        "location",
        "logging",
    ),
    *(
        "website",
        "notification",
        "replication",
        "publicAccessBlock",
        "ownershipControls",
        "object-lock",
        "inventory",
    ),
    *(
        "list-type=2&continuation-token=%ff",
        "versionId=a",
        "attributes",
        "select&select-type=2",
        "restore",
        "torrent",
    ),
    *(
        "accelerate",
        "requestPayment",
        "retention",
        "legal-hold",
        "intelligent-tiering&id=a",
        "analytics&id=a",
    ),
)
S3_BODIES = (
    *(
        "",
        "<",
        "<a/>",
        "<Delete><Object><Key>a</Key></Object></Delete>",
        "<Delete/>",
        "<Tagging><TagSet/></Tagging>",
    ),
    *(
        "<Tagging><TagSet><Tag/></TagSet></Tagging>",
        "<CompleteMultipartUpload/>",
        "<AccessControlPolicy/>",
        "{}",
    ),
    *(
        "<VersioningConfiguration><Status>x</Status></VersioningConfiguration>",
        "<CORSConfiguration/>",
        "\x00",
    ),
    "<!DOCTYPE a [<!ENTITY b 'bbbbbbbb'><!ENTITY c '&b;&b;&b;&b;'>]><Tagging><TagSet>&c;</TagSet></Tagging>",
    "<CreateBucketConfiguration><LocationConstraint>x</LocationConstraint></CreateBucketConfiguration>",
    "<LifecycleConfiguration><Rule><Status>Enabled</Status></Rule></LifecycleConfiguration>",
    "<ServerSideEncryptionConfiguration><Rule/></ServerSideEncryptionConfiguration>",
)
S3_HEADERS = (
    *(
        "x-amz-copy-source: /a/b",
        "x-amz-copy-source: %ff",
        "x-amz-checksum-sha256: x",
        "Range: bytes=9-1",
        "Range: x",
    ),
    *(
        "x-amz-decoded-content-length: x",
        "Content-Encoding: aws-chunked",
        "x-amz-tagging: a=b=c&&",
        "If-Match: x",
    ),
    *("x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-acl: x", "If-Modified-Since: x"),
    *(
        "x-amz-object-lock-retain-until-date: x",
        "x-amz-server-side-encryption: x",
        "Content-MD5: x",
        "x-amz-meta-_: ä",
    ),
    *("x-amz-sdk-checksum-algorithm: CRC32", "x-amz-trailer: x-amz-checksum-crc32", "x-amz-storage-class: x"),
)
REGISTRY_PATHS = (
    *(
        "/v2/",
        "/v2/aa/tags/list",
        "/v2/aa/manifests/latest",
        "/v2/aa/manifests/sha256:0",
        "/v2/aa/blobs/uploads/",
    ),
    *(
        "/v2/aa/blobs/sha256:" + "0" * 64,
        "/v2/aa/blobs/uploads/" + "0" * 32,
        "/v2/aa/blobs/uploads/?mount=x&from=aa",
    ),
    *(
        "/v2/aa/blobs/uploads/?digest=x",
        "/v2/aa/blobs/uploads/?digest=sha256:" + "0" * 64,
        "/v2/%2e%2e/blobs/x",
        "/v2",
    ),
)
MANIFESTS = (
    *("", "{}", "[]", "null", '{"mediaType": 1}', '{"config": 1}', '{"config": {}, "layers": 1}', "\xff"),
    *(
        '{"config": {"digest": 1}}',
        '{"manifests": [1]}',
        '{"manifests": 1}',
        '{"layers": [{"size": "x"}]}',
        '"x"',
    ),
    *(
        '{"config": {"digest": "sha256:x"}, "layers": [null]}',
        '{"mediaType": {}, "config": null}',
        "[" * 5_000,
    ),
)


@dataclass
class Report:
    """What was answered: the number of answers by kind of request and status, and the requests that are faults of the server."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[tuple[str, str, bytes]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.answers.values())


class Fuzz:
    """Makes requests, the same ones for the same seed.

    :param aws: The server.
    :param seed: The seed.
    """

    def __init__(self, aws: LocalAws, seed: int) -> None:
        self._aws = aws
        self._random = random.Random(seed)
        token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        self._login = f"Authorization: Basic {token}"
        self._kinds: dict[str, Callable[[], bytes]] = {
            "json": self._json,
            "query": self._query,
            "cbor": self._cbor,
            "s3": self._s3,
            "registry": self._registry,
            "runtime": self._runtime,
            "admin": self._admin,
        }

    def run(self, count: int) -> Report:
        """Send so many requests."""
        report = Report()
        for _ in range(count):
            kind = self._random.choice(list(self._kinds))
            data = self._kinds[kind]()
            if mutated := self._random.random() < 0.5:
                data = self._mutated(data)
            method = data.split(b" ", 1)[0]
            try:
                found = exchange(self._aws, data, methods=["HEAD" if method == b"HEAD" else "GET"])
                status = found[0].status if found else 0
            except (OSError, h11.RemoteProtocolError, AssertionError) as error:
                found, status = [], 0
                report.faults.append((kind, repr(error), data))
            name = f"{kind}, mutated" if mutated else kind
            report.answers[name, status] += 1
            if status == 0 or (status >= 500 and status not in (501, 505)):
                report.faults.append((name, str(found[:1]), data))
        return report

    # Requests

    def _json(self) -> bytes:
        service = self._random.choice(JSON)
        operation = self._operation(service)
        version = operation.service_model.metadata.get("jsonVersion", "1.1")
        body = self._one_of(
            lambda: json.dumps(self._members(operation)).encode(),
            lambda: json.dumps(self._random.choice(GARBAGE)).encode(),
            lambda: self._random.choice(
                (b"", b"{", b"\xff", b"[" * 100_000, b'{"a": NaN}', b'{"a":1}{"b":2}')
            ),
        )
        target = f"{operation.service_model.metadata.get('targetPrefix')}.{operation.name}"
        return request(
            "POST /",
            signed(self._aws, self._scope(service)),
            f"X-Amz-Target: {target}",
            f"Content-Type: application/x-amz-json-{version}",
            body=body,
        )

    def _query(self) -> bytes:
        service = self._random.choice(QUERY)
        operation = self._operation(service)
        fields = [("Action", operation.name), ("Version", operation.service_model.api_version)]
        self._flatten("", self._members(operation), fields)
        if self._random.random() < 0.2:
            fields.append(
                (self._random.choice(("A.member.99999999.B", "A.member.x", "A..", "", "Action")), "x")
            )
        return request(
            "POST /",
            signed(self._aws, self._scope(service)),
            "Content-Type: application/x-www-form-urlencoded",
            body=urlencode(fields).encode(),
        )

    def _cbor(self) -> bytes:
        operation = self._operation("cloudwatch")
        body = self._one_of(
            lambda: cbor(self._members(operation)),
            lambda: cbor(self._random.choice(GARBAGE)),
            lambda: self._random.choice(
                (
                    *(
                        b"",
                        b"\xff",
                        b"\x9f",
                        b"\xbf",
                        b"\x5b" + b"\xff" * 8,
                        b"\x9b" + b"\xff" * 8,
                        b"\xbb" + b"\xff" * 8,
                    ),
                    *(
                        b"\x81" * 5_000,
                        b"\x9f" * 50_000,
                        b"\xc1\xfb\x7f\xf0" + bytes(6),
                        b"\xa1\x01\x02",
                        b"\x5f\x01\xff",
                    ),
                )
            ),
        )
        return request(
            f"POST /service/GraniteServiceVersion20100801/operation/{operation.name}",
            signed(self._aws, "monitoring"),
            "smithy-protocol: rpc-v2-cbor",
            "Content-Type: application/cbor",
            body=body,
        )

    def _s3(self) -> bytes:
        method = self._random.choice(("GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "get"))
        bucket = self._random.choice(("bucket", "b", "..", "%00", "%ff", ""))
        key = self._random.choice(
            ("", "/k", "/k/../k", "//", "/%00", "/%ff", "/" + "k" * 2_000, "/ä".encode().hex())
        )
        path = f"/{bucket}{key}?{self._random.choice(S3_QUERIES)}"
        headers = self._random.sample(S3_HEADERS, self._random.choice((0, 0, 1, 2)))
        body = self._random.choice(S3_BODIES).encode()
        return request(f"{method} {path}", signed(self._aws), *headers, body=body)

    def _registry(self) -> bytes:
        method = self._random.choice(("GET", "PUT", "POST", "PATCH", "HEAD", "DELETE"))
        body = self._random.choice(MANIFESTS).encode("latin-1")
        headers = [self._login]
        if self._random.random() < 0.5:
            headers.append(
                self._random.choice(
                    ("Content-Range: 5-1", "Content-Range: x", "Content-Type: x", "Content-Range: 0-9")
                )
            )
        return request(f"{method} {self._random.choice(REGISTRY_PATHS)}", *headers, body=body)

    def _runtime(self) -> bytes:
        kind = self._random.choice(("invocations", "async-invocations", "invocations-response-stream", "x"))
        name = quote(self._random.choice(NAMES)) or "a"
        headers = self._random.sample(
            (
                *(
                    "X-Amzn-SageMaker-Inference-Id: " + "x" * 200,
                    "X-Amzn-SageMaker-Target-Variant: ä",
                    "Content-Type: ",
                ),
                *(
                    "X-Amzn-SageMaker-RequestTTLSeconds: x",
                    "X-Amzn-SageMaker-InputLocation: s3://",
                    "Accept: \x7f",
                ),
                *(
                    "X-Amzn-SageMaker-InvocationTimeoutSeconds: 99999999999",
                    "X-Amzn-SageMaker-Target-Model: ../x",
                ),
            ),
            self._random.choice((0, 1, 2)),
        )
        return request(
            f"POST /endpoints/{name}/{kind}",
            signed(self._aws, "sagemaker"),
            *headers,
            body=self._random.choice((b"", b"{}", b"x" * 1_000)),
        )

    def _admin(self) -> bytes:
        first = self._random.choice(
            (
                *(
                    "GET /_sm_hosting/requests",
                    "POST /_sm_hosting/faults",
                    "POST /_sm_hosting/endpoint-status",
                ),
                *("POST /_sm_hosting/clock/advance", "DELETE /_sm_hosting/faults/x", "PUT /_sm_hosting/x"),
            )
        )
        names = (
            "kind",
            "service",
            "operation",
            "rate",
            "count",
            "seconds",
            "delay",
            "code",
            "status",
            "when",
        )
        members = {
            name: self._random.choice(GARBAGE)
            for name in self._random.sample((*names, "EndpointName", "Status", "Seconds", "Region"), 4)
        }
        if "faults" in first and self._random.random() < 0.7:
            # None that hits a request.
            members |= {
                "kind": self._random.choice(("throttle", "delay", "capacity", "x")),
                "operation": "None",
                "seconds": 0,
            }
        key = self._aws.environment()["AWS_ACCESS_KEY_ID"]
        return request(first, f"X-Access-Key: {key}", body=json.dumps(members).encode())

    # Parts of them

    def _one_of(self, *makers: Callable[[], bytes]) -> bytes:
        return self._random.choices(makers, weights=[6, *([1] * (len(makers) - 1))])[0]()

    def _scope(self, service: str) -> str:
        return SIGNED_FOR.get(service, service)

    def _operation(self, service: str) -> OperationModel:
        return self._random.choice(_operations(service))

    def _members(self, operation: OperationModel) -> Any:
        return self._value(operation.input_shape, 0) if operation.input_shape else {}

    def _value(self, shape: Any, depth: int) -> Any:
        if depth > 4 or self._random.random() < 0.1:
            return self._random.choice(GARBAGE)
        match shape.type_name:
            case "structure":
                required = set(shape.required_members)
                return {
                    name: self._value(member, depth + 1)
                    for name, member in shape.members.items()
                    if self._random.random() < (0.95 if name in required else 0.2)
                }
            case "list":
                return [
                    self._value(shape.member, depth + 1) for _ in range(self._random.choice((0, 1, 1, 2)))
                ]
            case "map":
                return {self._random.choice(NAMES): self._value(shape.value, depth + 1)}
            case "integer" | "long" | "float" | "double" | "timestamp":
                return self._random.choice(NUMBERS)
            case "boolean":
                return self._random.choice((True, False))
        return self._random.choice([*shape.enum, "x"] if getattr(shape, "enum", None) else NAMES)

    def _flatten(self, prefix: str, value: Any, fields: list[tuple[str, str]]) -> None:
        if isinstance(value, dict):
            for name, one in value.items():
                self._flatten(f"{prefix}.{name}" if prefix else str(name), one, fields)
        elif isinstance(value, list):
            for number, one in enumerate(value, 1):
                self._flatten(f"{prefix}.member.{number}", one, fields)
        else:
            fields.append((prefix, str(value)))

    def _mutated(self, data: bytes) -> bytes:
        mutable = bytearray(data)
        for _ in range(self._random.choice((1, 1, 2, 4))):
            at = self._random.randrange(len(mutable) + 1)
            match self._random.randrange(6):
                case 0:
                    mutable[at:at] = self._random.choice(PIECES)
                case 1:
                    del mutable[at : at + self._random.choice((1, 2, 20))]
                case 2:
                    mutable[at : at + 1] = bytes([self._random.randrange(256)])
                case 3:
                    mutable[at:at] = mutable[max(0, at - 30) : at]
                case 4:
                    end = mutable.find(b"\r\n")
                    mutable[end:end] = b"\r\n" + self._random.choice(PIECES)
                case 5:
                    del mutable[at:]
            if not mutable:
                return b"\x00"
        return bytes(mutable)


def cbor(value: Any) -> bytes:
    """Encode a value: RFC 8949, section 3."""

    def head(major: int, number: int) -> bytes:
        return bytes([major << 5 | 27]) + struct.pack(">Q", number % 2**64)

    match value:
        case None:
            return b"\xf6"
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case float():
            return b"\xfb" + struct.pack(">d", value)
        case str():
            return head(3, len(value.encode())) + value.encode()
        case bytes():
            return head(2, len(value)) + value
        case list():
            return head(4, len(value)) + b"".join(map(cbor, value))
    return head(5, len(value)) + b"".join(cbor(name) + cbor(one) for name, one in value.items())


@cache
def _operations(service: str) -> list[OperationModel]:
    model = botocore.session.get_session().get_service_model(service)
    return [model.operation_model(name) for name in model.operation_names]


def main(seed: int, count: int, log_file: str | None = None) -> int:
    """Print a table, and the faults; return how many there are."""
    with LocalAws(engine="none", transition_seconds=0, log_file=log_file) as aws:
        aws.client("s3").create_bucket(Bucket="bucket")
        aws.client("ecr").create_repository(repositoryName="aa")
        report = Fuzz(aws, seed).run(count)
        entries = len(aws.requests())
    out = sys.stdout.write
    for kind in sorted({kind for kind, _ in report.answers}):
        found = {status: n for (one, status), n in sorted(report.answers.items()) if one == kind}
        out(f"{kind:18} {' '.join(f'{status}:{n}' for status, n in found.items())}\n")
    for kind, what, data in report.faults[:40]:
        out(f"FAULT {kind}: {what} for {base64.b64encode(data[:300]).decode()}\n  {data[:300]!r}\n")
    out(
        f"{report.total} requests, seed {seed}: {len(report.faults)} faults, {entries} entries in the request log\n"
    )
    return len(report.faults)


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:3]]
    sys.exit(bool(main(*(numbers + [1, 2_000][len(numbers) :]), *sys.argv[3:4])))
