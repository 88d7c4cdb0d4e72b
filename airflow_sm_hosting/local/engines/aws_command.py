"""The stand-in for the AWS CLI in builds of the local AWS. It is copied into the image, so it has nothing but the standard library.

It knows ``aws ecr get-login-password`` and ``aws s3 cp s3://… <file>``, talks to the local AWS only, and does not sign: the local AWS
looks at the access key alone.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

#: Exit codes of the AWS CLI: of what it does not know, and of an error of the service
#: (https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-returncodes.html).
INVALID, REFUSED = 252, 254
ECR_TARGET = "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken"


def main() -> int:
    """Run a command, and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="aws",
        description="The local AWS's stand-in for the AWS CLI: it has only these commands.",
        exit_on_error=False,
    )
    parser.add_argument("--region", default=os.environ.get("AWS_REGION", "us-east-1"))
    services = parser.add_subparsers(dest="service", required=True)
    ecr = services.add_parser("ecr").add_subparsers(dest="command", required=True)
    ecr.add_parser("get-login-password").add_argument("--region", default=argparse.SUPPRESS)
    s3 = services.add_parser("s3").add_subparsers(dest="command", required=True)
    copy = s3.add_parser("cp")
    copy.add_argument("--region", default=argparse.SUPPRESS)
    copy.add_argument("--no-progress", action="store_true")
    copy.add_argument("source")
    copy.add_argument("target")
    try:
        given = parser.parse_args()
    except (argparse.ArgumentError, SystemExit) as error:
        sys.stderr.write(f"aws (stand-in of the local AWS): {error}\n")
        return INVALID
    try:
        return _log_in(given.region) if given.service == "ecr" else _copy(given)
    except urllib.error.HTTPError as error:
        said = error.read().decode("utf-8", "replace")
        sys.stderr.write(f"An error occurred ({error.code}): {said}\n")
        return REFUSED


def _log_in(region: str) -> int:
    headers = {"X-Amz-Target": ECR_TARGET, "Content-Type": "application/x-amz-json-1.1"}
    with _open("", "ecr", region, headers, b"{}") as answer:
        token = json.load(answer)["authorizationData"][0]["authorizationToken"]
    sys.stdout.write(base64.b64decode(token).decode().partition(":")[2] + "\n")
    return 0


def _copy(given: argparse.Namespace) -> int:
    bucket, _, key = given.source.removeprefix("s3://").partition("/")
    if not given.source.startswith("s3://") or not key or given.target.startswith("s3://"):
        sys.stderr.write("aws (stand-in of the local AWS): s3 cp copies one object to a file\n")
        return INVALID
    with _open(f"{bucket}/{urllib.parse.quote(key)}", "s3", given.region, {}) as answer:
        if given.target == "-":
            shutil.copyfileobj(answer, sys.stdout.buffer)
            return 0
        with open(given.target, "wb") as file:
            shutil.copyfileobj(answer, file)
    sys.stdout.write(f"download: {given.source} to {given.target}\n")
    return 0


def _open(path: str, service: str, region: str, headers: dict[str, str], body: bytes | None = None) -> Any:
    key = os.environ["AWS_ACCESS_KEY_ID"]
    credential = f"{key}/20200101/{region}/{service}/aws4_request"
    headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=none"
    request = urllib.request.Request(  # noqa: S310 - the local AWS
        f"{os.environ['AWS_ENDPOINT_URL']}/{path}", data=body, headers=headers
    )
    # Not by a proxy that the environment names.
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request)


if __name__ == "__main__":
    sys.exit(main())
