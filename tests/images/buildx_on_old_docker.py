"""Docker's plugin ``buildx`` for tests, on the BuildKit in a docker client that has it built in (20.10).

A real buildx is used where there is one. Debian 12 has none, and no package registry does, so this translates its command line: what is built,
mounted and pushed is real, but named contexts and cache exports are not to be had, and refused.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCKER = "/usr/bin/docker"
METADATA = {"SchemaVersion": "0.1.0", "Vendor": "test", "Version": "0.0.0", "ShortDescription": "buildx"}


def main(arguments: list[str]) -> int:
    """Carry out one command."""
    if arguments == ["docker-cli-plugin-metadata"]:
        print(json.dumps(METADATA))
        return 0
    arguments = arguments[arguments.index("buildx") + 1 :]
    return build(arguments[1:]) if arguments[0] == "build" else 0


def build(arguments: list[str]) -> int:
    *options, context = arguments
    command, name, metadata = [DOCKER, "build"], "", Path()
    # No secret may be on the disk of the worker: a descriptor of this process.
    files = []
    pairs = iter(options)
    for option in pairs:
        key, _, value = option.partition("=")
        if key == "--metadata-file":
            metadata = Path(next(pairs))
        elif key == "--output":
            found = dict(part.split("=", 1) for part in value.split(","))
            assert found["push"] == "true"
            assert found["oci-mediatypes"] == "false"
            name = found["name"]
        elif key == "--secret":
            secret = dict(part.split("=", 1) for part in value.split(","))
            file = tempfile.TemporaryFile()  # noqa: SIM115 # open while the command runs
            file.write(os.environ[secret["env"]].encode())
            file.flush()
            files.append(file)
            command.append(f"--secret=id={secret['id']},src=/proc/{os.getpid()}/fd/{file.fileno()}")
        elif key == "--cache-from":
            command.append(f"--cache-from={value.removeprefix('type=registry,ref=')}")
        elif key in {"--provenance", "--sbom"}:
            assert value == "false"
        elif key in {"--build-context", "--cache-to"}:
            print(f"{key} is not to be had here", file=sys.stderr)
            return 1
        else:
            command.append(option)
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    built = subprocess.run([*command, "--tag", name, context], env=environment, check=False)
    if built.returncode:
        return built.returncode
    pushed = subprocess.run([DOCKER, "push", name], capture_output=True, text=True, check=False)
    sys.stdout.write(pushed.stdout + pushed.stderr)
    if digest := re.search(r"digest: (sha256:\w+)", pushed.stdout):
        metadata.write_text(json.dumps({"containerimage.digest": digest[1]}))
    return pushed.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
