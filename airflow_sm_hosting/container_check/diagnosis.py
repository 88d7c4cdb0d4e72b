"""Known causes in what an engine and a container say, and what to do about them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple


class Diagnosis(NamedTuple):
    """A known cause.

    :param cause: What it is.
    :param remedy: What to do.
    """

    cause: str
    remedy: str


#: The first that is found counts. The texts are those of runc, of a shell, of argparse and click, of Python, and of the C library.
_KNOWN: tuple[tuple[re.Pattern[str], Diagnosis], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), Diagnosis(cause, remedy))
    for pattern, cause, remedy in (
        (
            r"exec format error",
            "the kernel cannot execute the entry point (exec format error)",
            "Build the image for the platform of the instance type; if the entry point is a script, its first line must be "
            "#! and an interpreter.",
        ),
        (
            r'exec: "serve": .*not found|exec: "serve": stat .*no such file',
            "there is no program 'serve' in the image, and SageMaker's argument replaces CMD",
            'Give the image an exec-form ENTRYPOINT, e.g. ENTRYPOINT ["python3", "/opt/program/serve.py"], or put an executable '
            "'serve' on its PATH.",
        ),
        (
            r"executable file not found in|exec: .*stat .*no such file or directory",
            "the program of the entry point is not in the image",
            "Correct the path in ENTRYPOINT, or copy the program into the image.",
        ),
        (
            r"^(standard_init_linux\.go.*|exec [^:]*): no such file or directory|exec user process caused: no such file or directory",
            "the interpreter in the first line of the entry point's script does not exist",
            "Save the script with Unix line ends (LF, not CRLF; '* text eol=lf' in .gitattributes), and check its first line.",
        ),
        (
            r'exec: "[^"]*": permission denied|exec user process caused: permission denied|^exec [^:]*: permission denied',
            "the entry point is not executable",
            "Make it executable (chmod +x, or COPY --chmod=755), or name its interpreter in ENTRYPOINT.",
        ),
        (
            r"unrecognized arguments?:? .*serve|invalid choice: '?serve|no such command '?serve|unexpected (extra )?argument.*serve"
            r"|unknown (command|argument|option):? .*serve|serve: (command )?not found|can't open file '[^']*/serve'|usage: ",
            "the entry point does not take the argument 'serve'",
            "SageMaker runs 'docker run IMAGE serve': let the entry point take that argument, or ignore it.",
        ),
        (
            r"Read-only file system",
            "the container writes to a read-only file system",
            "Write below /tmp, not to /opt/ml/model or into the program's folder.",
        ),
        (
            r"Address already in use|EADDRINUSE",
            "the port is taken by another process of the container",
            "Start one server on the port.",
        ),
        (
            r"(No module named|cannot find module|ModuleNotFoundError|ImportError).*",
            "a dependency is missing in the image",
            "Install it in the Dockerfile.",
        ),
        (
            r"(No such file or directory|FileNotFoundError|does not exist|ENOENT).*/opt/ml/model|/opt/ml/model.*(No such file|not found)",
            "a file of the model is missing",
            "Give the check the artifact (model_data), and look at its layout: the artifact's root is /opt/ml/model.",
        ),
        (
            r"Permission ?denied|PermissionError|EACCES",
            "the container may not use a file or a port",
            "Let its user read the program and the model, and write below /tmp; ports below 1024 need root.",
        ),
        (
            r"Name or service not known|Temporary failure in name resolution|Network is unreachable|getaddrinfo|ENOTFOUND|"
            r"Could not resolve host|Max retries exceeded|No route to host",
            "the container reaches for the network",
            "Put what it downloads into the image or the artifact.",
        ),
        (
            r"MemoryError|Cannot allocate memory|std::bad_alloc|out of memory",
            "the container wants more memory than it may use",
            "Choose a larger instance type, or start fewer workers.",
        ),
    )
)


def diagnose(lines: Iterable[str]) -> Diagnosis | None:
    """Return the first known cause in what an engine or a container said, or None.

    :param lines: The lines.
    """
    said = list(lines)
    return next(
        (diagnosis for pattern, diagnosis in _KNOWN if any(pattern.search(line) for line in said)), None
    )
