"""Requests that are not HTTP, that are ambiguous, or that nobody may make: each is answered, logged, and costs nothing."""

from __future__ import annotations

import gzip
import socket
from typing import Any

import psutil
import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import wait_until
from tests.local.server.raw import Answer, address, answers, exchange, request, signed

CHUNKED = "Transfer-Encoding: chunked"


def error_code(answer: Answer) -> str:
    text = answer.body.decode()
    return text.partition("<Code>")[2].partition("</Code>")[0]


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, "InvalidRequest", id="no-host"),
        pytest.param(b"GET /\r\n\r\n", 400, "InvalidRequest", id="http-0.9"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "InvalidRequest", id="http-2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "InvalidRequest", id="tls"),
        pytest.param(b"GET / HT", 400, "IncompleteBody", id="half-a-line"),
        pytest.param(request("CONNECT localhost:22"), 405, "InvalidRequest", id="connect"),
        pytest.param(request("GET http://[::1/"), 400, "InvalidRequest", id="no-url"),
        pytest.param(request("GET /", "Name : v"), 400, "InvalidRequest", id="space-before-colon"),
        pytest.param(request("GET /", "no colon"), 400, "InvalidRequest", id="no-colon"),
        pytest.param(request("GET /", "Name: a\x00b"), 400, "InvalidRequest", id="nul-in-a-header"),
        pytest.param(
            request("GET /", "Long: " + "x" * 70_000), 400, "RequestHeaderSectionTooLarge", id="long-header"
        ),
        pytest.param(
            request("GET /" + "x" * 70_000), 400, "RequestHeaderSectionTooLarge", id="long-request-line"
        ),
        pytest.param(
            request("GET /", *(f"h{i}: v" for i in range(201))),
            400,
            "RequestHeaderSectionTooLarge",
            id="many-headers",
        ),
        pytest.param(request("PUT /b/k", "Content-Length: -1"), 400, "InvalidRequest", id="negative-length"),
        pytest.param(request("PUT /b/k", "Content-Length: +5"), 400, "InvalidRequest", id="signed-length"),
        pytest.param(request("PUT /b/k", "Content-Length: 0x5"), 400, "InvalidRequest", id="hex-length"),
        pytest.param(
            request("PUT /b/k", "Content-Length: 5", "Content-Length: 6"),
            400,
            "InvalidRequest",
            id="two-lengths",
        ),
        pytest.param(
            request("PUT /b/k", "Content-Length: 5, 6"), 400, "InvalidRequest", id="two-lengths-in-one"
        ),
        pytest.param(
            request("PUT /b/k", "Content-Length: " + "9" * 30), 400, "InvalidRequest", id="huge-length"
        ),
        pytest.param(
            request("PUT /b/k", CHUNKED, "Content-Length: 5"), 400, "InvalidRequest", id="length-and-chunks"
        ),
        pytest.param(request("PUT /b/k", CHUNKED, CHUNKED), 501, "NotImplemented", id="chunked-twice"),
        pytest.param(
            request("PUT /b/k", "Transfer-Encoding: gzip, chunked"),
            501,
            "NotImplemented",
            id="another-encoding",
        ),
        pytest.param(
            request("PUT /b/k", "Transfer-Encoding: xchunked"), 501, "NotImplemented", id="almost-chunked"
        ),
        pytest.param(request("GET /", host="evil.example"), 421, "InvalidRequest", id="another-host"),
        pytest.param(request("GET /", host="127.0.0.1.evil.example"), 421, "InvalidRequest", id="looks-like"),
        pytest.param(
            request("GET /_sm_hosting/health", host="evil.example"), 421, "InvalidRequest", id="health"
        ),
        pytest.param(
            request("GET http://evil.example/_sm_hosting/health"), 421, "InvalidRequest", id="absolute-target"
        ),
    ],
)
def test_what_cannot_be_read_is_refused_and_logged(
    aws: LocalAws, data: bytes, status: int, code: str
) -> None:
    (answer,) = exchange(aws, data)
    assert (answer.status, error_code(answer)) == (status, code)
    assert status == 421 or answer.headers["connection"] == "close"
    (entry,) = aws.requests()
    assert (entry["operation"], entry["status"], entry["error"]) == ("Malformed", status, code)


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param(b"-5\r\nhello\r\n0\r\n\r\n", id="negative"),
        pytest.param(b"ffffffffffffffffffffffff\r\nhello\r\n0\r\n\r\n", id="overlong-size"),
        pytest.param(b"5\r\nhello world\r\n0\r\n\r\n", id="longer-than-it-says"),
        pytest.param(b"zz\r\nhello\r\n0\r\n\r\n", id="no-number"),
        pytest.param(b"0x5\r\nhello\r\n0\r\n\r\n", id="prefix"),
        pytest.param(b"5;" + b"x" * 400_000 + b"\r\nhello\r\n0\r\n\r\n", id="endless-extension"),
        pytest.param(b"5\r\nhello\r\n0\r\n" + b"t: v\r\n" * 20_000, id="endless-trailer"),
        pytest.param(b"5\r\nhel", id="cut"),
        pytest.param(b"fffffff\r\nhel", id="the-one-that-ate-the-memory"),
        pytest.param(b"", id="none"),
    ],
)
@pytest.mark.parametrize("service", ["s3", "sagemaker", "monitoring"])
def test_malformed_chunks_are_refused_in_the_protocol_of_the_service(
    aws: LocalAws, service: str, chunks: bytes
) -> None:
    data = request("PUT /bucket/key", signed(aws, service), CHUNKED) + chunks
    (answer,) = exchange(aws, data + request("GET /smuggled"), methods=("PUT", "GET"))
    assert answer.status == 400
    assert (b"__type" in answer.body) == (service == "sagemaker")
    (entry,) = aws.requests()
    assert (entry["service"], entry["status"]) == (service, 400)
    assert entry["error"] in ("InvalidRequest", "IncompleteBody", "RequestHeaderSectionTooLarge")


def test_the_key_is_checked_before_a_body_is_read(aws: LocalAws) -> None:
    # None of the body is ever sent: without the answer first, both would wait for each other.
    for headers in ([], [signed(aws, key="AKIAUNKNOWN")]):
        with socket.create_connection(address(aws), timeout=20) as connection:
            connection.sendall(request("PUT /bucket/key", "Content-Length: 1000000000", *headers))
            (answer,) = answers(connection.recv(65536), ["PUT"])
        assert (answer.status, error_code(answer)) == (403, "InvalidAccessKeyId")
    for first in ("POST /moto-api/reset", "POST /moto-api/config", "GET /moto-api/data.json", "PUT /v2/a"):
        (answer,) = exchange(aws, request(first, "Content-Length: 1000000000"), methods=[first.split()[0]])
        assert answer.status in (401, 403)


def test_a_client_that_asks_first_is_told_to_continue_only_with_a_known_key(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="bucket")
    asks = ("Content-Length: 5", "Expect: 100-continue")
    with socket.create_connection(address(aws), timeout=20) as connection:
        connection.sendall(request("PUT /bucket/key", signed(aws), *asks))
        assert connection.recv(65536) == b"HTTP/1.1 100 \r\n\r\n"
        connection.sendall(b"hello")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(address(aws), timeout=20) as connection:
        connection.sendall(request("PUT /bucket/key", *asks))
        assert connection.recv(65536).startswith(b"HTTP/1.1 403 ")
        assert connection.recv(65536) == b"", "whether the body follows is not known"


def test_kept_connections_stay_in_step(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="bucket")
    put = request("PUT /bucket/one", signed(aws), body=b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")
    chunked = request("PUT /bucket/two", signed(aws), CHUNKED) + b"5;x=y\r\nhello\r\n0\r\nt: v\r\n\r\n"
    refused = request("PUT /bucket/three", body=b"x" * 1000)
    found = exchange(aws, put + chunked + refused + put, methods=["PUT"] * 5)
    assert [answer.status for answer in found] == [200, 200, 403, 200]
    assert [entry["resource"] for entry in aws.requests()[1:]] == [
        "bucket/one",
        "bucket/two",
        None,
        "bucket/one",
    ]
    assert aws.client("s3").get_object(Bucket="bucket", Key="two")["Body"].read() == b"hello"


@pytest.mark.parametrize(
    ("service", "first", "length", "status", "code"),
    [
        ("sagemaker", "POST /", 17 * 1024**2, 413, b"RequestEntityTooLargeException"),
        ("monitoring", "POST /", 17 * 1024**2, 413, b"RequestEntityTooLargeException"),
        ("s3", "PUT /bucket/key", 6 * 1024**3, 400, b"EntityTooLarge"),
        ("s3", "POST /bucket?delete", 9 * 1024**2, 400, b"MaxMessageLengthExceeded"),
    ],
)
def test_bodies_have_a_limit(
    aws: LocalAws, service: str, first: str, length: int, status: int, code: bytes
) -> None:
    (answer,) = exchange(
        aws, request(first, signed(aws, service), f"Content-Length: {length}"), methods=[first.split()[0]]
    )
    assert answer.status == status
    assert code in answer.body
    assert aws.requests()[-1]["status"] == status


def test_the_admin_api_reads_little_and_only_with_the_key(aws: LocalAws) -> None:
    key = f"X-Access-Key: {aws.environment()['AWS_ACCESS_KEY_ID']}"
    large = request("POST /_sm_hosting/faults", key, body=b" " * (1024**2 + 1))
    for data, status in (
        (large, 413),
        (request("POST /_sm_hosting/faults", "Content-Length: 1000000000"), 403),
        (request("POST /_sm_hosting/faults", key, body=b"[" * 100_000), 400),
        (request("POST /_sm_hosting/endpoint-status", key, body=b'{"Seconds": "x"}'), 400),
        (request("POST /_sm_hosting/endpoint-status", key, body=b'{"Region": "' + b"x" * 99 + b'"}'), 400),
    ):
        (answer,) = exchange(aws, data, methods=["POST"])
        assert (answer.status, b"__type" in answer.body) == (status, True)


def test_a_body_in_chunks_is_refused_where_it_becomes_too_large(aws: LocalAws) -> None:
    chunk = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    data = request("POST /", signed(aws, "sagemaker"), CHUNKED) + chunk * 17 + b"0\r\n\r\n"
    (answer,) = exchange(aws, data, methods=["POST"])
    assert (answer.status, b"RequestEntityTooLarge" in answer.body) == (413, True)


def test_a_compressed_body_is_refused_where_it_becomes_too_large(aws: LocalAws) -> None:
    bomb = gzip.compress(bytes(20 * 1024**2))
    assert len(bomb) < 30_000
    for body, status in ((bomb, 413), (b"no gzip", 400), (bomb[:-9], 413), (gzip.compress(b"x")[:-3], 400)):
        (answer,) = exchange(
            aws,
            request("POST /", signed(aws, "monitoring"), "Content-Encoding: gzip", body=body),
            methods=["POST"],
        )
        assert answer.status == status


def test_a_region_that_there_is_not_is_refused(aws: LocalAws) -> None:
    for region in ("x" * 100, "us_east_1", "..", "-", "mars-north-1"):
        (answer,) = exchange(aws, request("POST /", signed(aws, "sagemaker", region)), methods=["POST"])
        assert answer.status == 403
        assert b"Region" in answer.body


def test_names_below_localhost_are_this_computers(aws: LocalAws) -> None:
    port = address(aws)[1]
    for host in ("localhost", f"localhost:{port}", f"bucket.localhost:{port}", f"127.0.0.1:{port}", "[::1]"):
        (answer,) = exchange(aws, request("GET /_sm_hosting/health", host=host))
        assert answer.status == 200, host


def test_a_chunk_of_a_layer_that_breaks_off_leaves_nothing(deployer: Any) -> None:
    repository, login = deployer.repository(), deployer.registry_login()
    start = deployer.http.request(
        "POST", f"{deployer.aws.endpoint_url}/v2/{repository}/blobs/uploads/", headers=login
    )
    place = start.headers["Location"]
    headers = (f"Authorization: {login['Authorization']}", "Content-Length: 100")
    (answer,) = exchange(
        deployer.aws, request(f"PATCH {place}", *headers) + b"only a part", methods=["PATCH"]
    )
    assert (answer.status, b"IncompleteBody" in answer.body) == (400, True)
    state = deployer.http.request("GET", deployer.aws.endpoint_url + place, headers=login)
    assert state.headers["Range"] == "0-0"


def test_a_service_that_there_is_not_is_refused(aws: LocalAws) -> None:
    # moto would print a line for it, and nobody reads the server's output: the server would block.
    line = "x" * 60 + ".amazonaws.com"
    data = request("GET /", signed(aws, line))
    assert len(line) * 1_000 > 65536
    assert {answer.status for answer in exchange(aws, data * 1_000, methods=["GET"] * 1_000)} == {501}


def test_the_memory_stays_flat_under_a_chunk_without_an_end(aws: LocalAws) -> None:
    server = psutil.Process(aws.health()["pid"])
    data = request("PUT /bucket/key", signed(aws), CHUNKED) + b"ffffffff\r\nx"
    exchange(aws, data, methods=["PUT"])
    before = server.memory_info().rss
    for _ in range(20):
        assert len(exchange(aws, data, methods=["PUT"])) == 1
    assert server.memory_info().rss - before < 30 * 1024**2
    wait_until(lambda: server.num_threads() < 50)
