"""Check that the objects below a prefix can be laid out as the files of uncompressed model data.

.. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3ModelDataSource.html, ``CompressionType``: each key below the
    prefix is the path of a file; keys that end with a slash, a file that is also a folder, and longer names are not supported.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Bytes of a file's name on Linux (NAME_MAX).
LONGEST_NAME = 255


def layout_problem(prefix: str, keys: Iterable[str]) -> str:
    """Return why the objects cannot be laid out as files; empty if they can.

    :param prefix: The prefix, which ends with a slash, or is empty.
    :param keys: The keys below it.
    """
    found = set(keys)
    for key in sorted(found):
        path = key.removeprefix(prefix)
        if not path or path.endswith("/"):
            return (
                f"the object {key!r} ends with a slash, as the S3 console makes it for a folder, and cannot be written as a file; "
                "delete this object"
            )
        names = path.split("/")
        if {"", ".", ".."} & set(names):
            return f"the object {key!r} is no path of a file below the prefix; rename it"
        if long := [name for name in names if len(name.encode()) > LONGEST_NAME]:
            return f"the object {key!r} has a name of {len(long[0].encode())} bytes between two slashes; the limit is {LONGEST_NAME}"
        for end in range(1, len(names)):
            folder = prefix + "/".join(names[:end])
            if folder in found:
                return f"the object {folder!r} would be a file and, because of {key!r}, a folder; rename one of the two"
    return ""
