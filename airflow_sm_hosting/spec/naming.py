"""Names derived from content: equal requests have equal names, different requests different names.

SageMaker's models and endpoint configs are immutable and their Create calls take no client token, so the name is the
only idempotency key there is. The canonical form is versioned. A change of it would rename existing resources; golden tests
prevent that.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.patterns import MAX_NAME_LENGTH

CANONICAL_VERSION = 1
DIGEST_LENGTH = 10
#: What is kept of a base name, so that a hyphen and the digest have room.
MAX_BASE_LENGTH = MAX_NAME_LENGTH - DIGEST_LENGTH - 1

#: Members with a resource's name and owner, which are no part of its content.
_NOT_CONTENT = ("ModelName", "EndpointConfigName", "Tags")


def canonical_request(
    operation: str, request: Mapping[str, Any], resolved: Mapping[str, Any] | None = None
) -> str:
    """Return the canonical form of a completed request, as JSON text.

    :param operation: The API operation, e.g. ``CreateModel``.
    :param request: The request to send; its name and tags are ignored.
    :param resolved: Resolved values of mutable references that are not part of the request, e.g. the ETag of the model data.
    """
    content = {name: value for name, value in request.items() if name not in _NOT_CONTENT}
    return json.dumps(
        _plain(
            {
                "version": CANONICAL_VERSION,
                "operation": operation,
                "request": content,
                "resolved": dict(resolved or {}),
            }
        ),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
        allow_nan=False,
    )


def content_digest(
    operation: str, request: Mapping[str, Any], resolved: Mapping[str, Any] | None = None
) -> str:
    """Return the SHA-256 of the canonical form in hex."""
    return hashlib.sha256(canonical_request(operation, request, resolved).encode()).hexdigest()


def content_name(base: str, digest: str) -> str:
    """Return ``<base>-<first 10 hex of the digest>``; a long base is shortened to keep 63 characters."""
    return f"{_kept(base)}-{digest[:DIGEST_LENGTH]}"


def is_content_name(name: str) -> bool:
    """Return whether a name ends as those of :func:`content_name` do."""
    _, hyphen, digest = name.rpartition("-")
    return bool(hyphen) and len(digest) == DIGEST_LENGTH and set(digest) <= set("0123456789abcdef")


def warn_of_cut_base(where: str, base: Any) -> None:
    """Warn of a base name that has to be cut: names that differ only after that have one beginning.

    :param where: The parameter.
    :param base: The base name; one that is rendered later is skipped.
    """
    if not isinstance(base, str) or len(base) <= MAX_BASE_LENGTH or is_rendered_later(base):
        return
    warnings.warn(
        f"{where} has {len(base)} characters, and is cut to {MAX_BASE_LENGTH} at most: the name becomes "
        f"'{_kept(base)}-<{DIGEST_LENGTH} hex digits of the content>'. Other base names with this beginning and the same content have the "
        "same name.",
        stacklevel=4,
    )


def _kept(base: str) -> str:
    return base[:MAX_BASE_LENGTH].rstrip("-")


def _plain(value: Any) -> Any:
    """Return a value with numbers that are equal written equally (1.0 as 1), and absent members absent."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
