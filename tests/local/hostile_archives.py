"""Archives that no one should unpack, and what becomes of each: ``python -m tests.local.hostile_archives`` prints it as JSON.

It needs nothing but the standard library, so that every Python can be asked.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import sys
import tarfile
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_sm_hosting.local.archives import ArchiveError, Budget, apply_layer, unpack_model_archive

#: The limits, so that a bomb is one at a size that a test can have.
MOST_BYTES = 4 * 1024**2
MOST_MEMBERS = 1_000
#: The most memory that one may cost.
MOST_MEMORY = 16 * 1024**2


@dataclass(frozen=True)
class Shape:
    """A hostile archive.

    :param archives: A model archive, or layers from the lowest on.
    :param names: What its refusal says: the member.
    :param is_image: Whether it is layers.
    """

    archives: tuple[bytes, ...]
    names: str
    is_image: bool = False


Entry = tarfile.TarInfo | tuple[tarfile.TarInfo, bytes] | bytes


def file(name: str, content: bytes = b"x", mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    return info, content


def other(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


def link(name: str, target: str) -> Entry:
    return other(name, tarfile.SYMTYPE, target)


def hard(name: str, target: str) -> Entry:
    return other(name, tarfile.LNKTYPE, target)


def folder(name: str) -> Entry:
    return other(name, tarfile.DIRTYPE)


def extended(kind: bytes, content: bytes, size: int | None = None, name: str = "header") -> bytes:
    """Return an extended header as it stands, and its content, of which it may lie."""
    info = other(name, kind, size=len(content) if size is None else size)
    return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def records(**values: str) -> bytes:
    """Return the records of a PAX header."""
    found = b""
    for keyword, value in values.items():
        rest = f" {keyword.replace('__', '.')}={value}\n".encode("utf-8", "surrogateescape")
        length = len(rest)
        while length != len(str(length)) + len(rest):
            length = len(str(length)) + len(rest)
        found += str(length).encode() + rest
    return found


def pax(**values: str) -> bytes:
    return extended(tarfile.XHDTYPE, records(**values))


def with_size(name: str, field: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return a header with that in its size field."""
    header = bytearray(other(name, kind).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def tar(*entries: Entry) -> bytes:
    written = b""
    for entry in entries:
        if isinstance(entry, bytes):
            written += entry
            continue
        info, content = entry if isinstance(entry, tuple) else (entry, b"")
        written += (
            info.tobuf(tarfile.GNU_FORMAT, errors="surrogateescape") + content + bytes(-len(content) % 512)
        )
    return written + bytes(1024)


def model(*entries: Entry, names: str) -> Shape:
    return Shape((gzip.compress(tar(*entries), 1, mtime=0),), names)


def image(*layers: tuple[Entry, ...], names: str) -> Shape:
    return Shape(tuple(gzip.compress(tar(*entries), 1, mtime=0) for entries in layers), names, is_image=True)


def shapes() -> dict[str, Shape]:
    """Return all shapes by name."""
    deep = "/".join(["d" * 247] * 16)
    return {
        # CVE-2007-4559: names.
        "up": model(file("../keep"), names="../keep"),
        "up-in-the-middle": model(file("a/../../keep"), names="a/../../keep"),
        "up-and-back": model(file("a/../b"), names="a/../b"),
        "absolute": model(file("/tmp/sm-hosting-escaped"), names="/tmp/sm-hosting-escaped"),
        "two-slashes": model(file("//tmp/sm-hosting-escaped"), names="//tmp/sm-hosting-escaped"),
        "folder-up": model(folder("../made"), names="../made"),
        "drive": model(file("C:\\escaped"), names="C:"),
        "drive-with-slash": model(file("c:/escaped"), names="c:/escaped"),
        "share": model(file("\\\\host\\share"), names="share"),
        "nul": model(pax(path="a\0b"), file("x"), names="a\\x00b"),
        "no-name": model(file(""), names="''"),
        "dot": model(file("."), names="'.'"),
        "long-name": model(file("n" * 300), names="nnnnnn"),
        "long-path": model(file(deep), names="dddddd"),
        "deep-path": model(file("d/" * 1_000 + "f"), names="d/d/d"),
        "deeper-through-a-link": model(
            folder("d" + "/d" * 149), link("l", "d" + "/d" * 149), file("l" + "/d" * 100), names="l/d/d"
        ),
        # Links.
        "link-absolute": model(link("l", "/etc/passwd"), names="'l'"),
        "link-up": model(link("l", "../keep"), names="'l'"),
        "link-to-nothing": model(link("l", ""), names="'l'"),
        "link-nul": model(pax(linkpath="a\0b"), link("l", "x"), names="'l'"),
        "through-a-link": model(link("d", ".."), file("d/keep"), names="'d'"),
        # CVE-2025-4517, 2025-4138: the link is judged before what it leads through is there.
        "link-before-its-steps": model(
            link("escape", "a/../.."), folder("b"), link("a", "b"), names="'escape'"
        ),
        "link-later-led-out": model(
            folder("a/b/c"), link("up", "s/../../.."), folder("s"), link("s2", "a"), names="'up'"
        ),
        "link-changed-under-another": model(
            folder("a/b"),
            link("s", "a/b"),
            link("l", "s/../../x"),
            link("s", "."),
            names="'l'",
        ),
        "long-chain-of-links": model(
            *(folder(f"{'/'.join(['d' * 200] * n)}") for n in range(1, 15)),
            *(link(f"{'/'.join(['d' * 200] * n)}/s", "d" * 200 + "/..") for n in range(1, 14)),
            link("out", "/".join([*["d" * 200] * 14, *[".."] * 15, "keep"])),
            names="'out'",
        ),
        "circle": model(link("a", "b"), link("b", "a"), file("a/x"), names="a/x"),
        "many-links": model(
            *(link(f"l{n}", f"l{n + 1}" if n < 60 else ".") for n in range(60, -1, -1)),
            file("l0/x"),
            names="'l",
        ),
        "overwrite-through-a-link": model(
            file("a"), link("l", "a"), link("m", "../keep"), file("m"), names="'m'"
        ),
        # CVE-2025-4330, 2025-4435, 2024-12718: what filters let through, or change though they refuse.
        "hard-link-up": model(hard("h", "../keep"), names="'h'"),
        "hard-link-absolute": model(hard("h", "/etc/passwd"), names="'h'"),
        "hard-link-to-nothing": model(hard("h", "absent"), names="'h'"),
        "hard-link-to-a-folder": model(folder("d"), hard("h", "d"), names="'h'"),
        "hard-link-through-a-link": model(link("d", ".."), hard("h", "d/keep"), names="'d'"),
        "hard-link-to-a-link-from-deeper": model(
            folder("a/b"), link("a/b/s", "../.."), hard("t", "a/b/s"), names="'t'"
        ),
        "folder-with-a-time-of-the-one-above": model(folder(".."), names="'..'"),
        "a-file-in-the-place-of-a-folder": model(file("d/x"), file("d"), names="'d'"),
        # Kinds.
        "character-device": model(other("c", tarfile.CHRTYPE), names="'c'"),
        "block-device": model(other("b", tarfile.BLKTYPE), names="'b'"),
        "fifo": model(other("p", tarfile.FIFOTYPE), names="'p'"),
        "fifo-up": model(other("../p", tarfile.FIFOTYPE), names="../p"),
        # Sizes, counts, headers.
        "too-large": model(file("zeros", bytes(MOST_BYTES + 1)), names="zeros"),
        "said-to-be-huge": model(with_size("huge", b"\x80" + b"\x00" * 3 + b"\x7f" * 8), names="huge"),
        "too-many": model(*(file(f"f{n}", b"") for n in range(MOST_MEMBERS + 1)), names=f"f{MOST_MEMBERS}"),
        # CVE-2025-8194: tarfile goes back by a negative size, for ever.
        "negative-size": model(with_size("back", b"\xff" * 11 + b"\x00"), names="back"),
        "negative-size-later": model(file("a"), with_size("back", b"\xff" * 10 + b"\xfe\x00"), names="back"),
        "negative-size-in-pax": model(pax(size="-1024"), file("back"), names="back"),
        "huge-size-in-pax": model(pax(size="9" * 100), file("huge"), names="huge"),
        "long-number-in-pax": model(
            extended(tarfile.XHDTYPE, records(comment="9" * 100_000)), file("x"), names="header"
        ),
        "pax-bomb": model(
            extended(tarfile.XHDTYPE, b"", size=2 * 1024**3, name="bomb") + bytes(200 * 1024**2),
            names="bomb",
        ),
        "name-bomb": model(
            extended(tarfile.GNUTYPE_LONGNAME, b"", size=2 * 1024**3, name="bomb") + bytes(200 * 1024**2),
            names="bomb",
        ),
        "link-name-bomb": model(
            extended(tarfile.GNUTYPE_LONGLINK, b"", size=2**31, name="bomb"), names="bomb"
        ),
        "negative-header": model(with_size("back", b"\xff" * 12, tarfile.XHDTYPE), names="back"),
        "headers-without-end": model(pax(comment="x") * 5_000, file("x"), names="header"),
        "names-without-end": model(
            extended(tarfile.GNUTYPE_LONGNAME, b"n\0") * 5_000, file("x"), names="header"
        ),
        "global-headers": model(
            *(
                entry
                for n in range(40)
                for entry in (extended(tarfile.XGLTYPE, records(**{f"k{n}": "v"})), file(f"f{n}"))
            ),
            names="global",
        ),
        "malformed-pax": model(extended(tarfile.XHDTYPE, b"999 path=x\n"), file("x"), names="header"),
        "pax-of-length-0": model(extended(tarfile.XHDTYPE, b"0 path=x\n"), file("x"), names="header"),
        "sparse": model(other("s", tarfile.GNUTYPE_SPARSE), names="'s'"),
        "sparse-in-pax": model(
            pax(GNU__sparse__major="1", GNU__sparse__minor="0"), file("s", b"9" * 512), names="'s'"
        ),
        "old-sparse-in-pax": model(
            pax(GNU__sparse__map="0,1", GNU__sparse__size="9999999"), file("s"), names="'s'"
        ),
        "cut": Shape((gzip.compress(tar(file("cut", bytes(100_000)))[:50_000]),), "cut"),
        "cut-gzip": Shape((gzip.compress(tar(file("cut", os.urandom(300_000))))[:200_000],), "cut"),
        "bomb-of-an-unknown-kind": model(
            with_size("odd", b"00077777777\0", b"Z") + bytes(16 * 1024**2), names="odd"
        ),
        "no-archive": Shape((gzip.compress(b"<html>" * 500),), ""),
        # Layers.
        "layer-up": image((file("../keep"),), names="../keep"),
        "layer-link-up": image((link("l", "../../keep"),), names="'l'"),
        "layer-through-a-link": image((link("d", ".."), file("d/keep")), names="'d'"),
        "layer-hard-link-up": image((hard("h", "../keep"),), names="'h'"),
        "layer-link-of-another-layer": image(
            (folder("a/b"), link("s", "a/b"), link("l", "s/../../x")), (link("s", "."),), names="'l'"
        ),
        "whiteout-of-nothing": image((file("a"),), (file(".wh."),), names="'.wh.'"),
        "whiteout-of-this": image((file("a"),), (file(".wh.."),), names="'.wh..'"),
        "whiteout-of-what-is-above": image((file("a"),), (file(".wh..."),), names="'.wh...'"),
        "whiteout-of-what-is-above-in-a-folder": image((file("a/b"),), (file("a/.wh..."),), names="a/.wh..."),
        "whiteout-in-a-whiteout": image((file(".wh.a/b"),), names=".wh.a/b"),
        "opaque-in-an-opaque": image((file(".wh..wh..opq/.wh..wh..opq"),), names=".wh..wh..opq"),
        "whiteout-up": image((file("../.wh.keep"),), names="../.wh.keep"),
        "opaque-up": image((file("../.wh..wh..opq"),), names="../.wh..wh..opq"),
        "whiteout-through-a-link": image((link("d", ".."),), (file("d/.wh.keep"),), names="'d'"),
        "layer-bomb": image((file("zeros", bytes(MOST_BYTES + 1)),), names="zeros"),
        "layers-together": image(
            (file("a", bytes(MOST_BYTES // 2)),),
            (file("b", bytes(MOST_BYTES // 2)),),
            (file("too-much"),),
            names="too-much",
        ),
        "layer-sparse": image((other("s", tarfile.GNUTYPE_SPARSE),), names="'s'"),
    }


def outcome(shape: Shape, base: Path) -> str | None:
    """Unpack, and return the refusal; None where there is none.

    :raises AssertionError: Something outside of the folder has changed.
    """
    inside = base / "inside"
    inside.mkdir()
    keep = base / "keep"
    keep.write_bytes(b"kept")
    before = list(_seen(base, inside))
    try:
        budget = Budget(bytes=MOST_BYTES, members=MOST_MEMBERS)
        for archive in shape.archives:
            if shape.is_image:
                apply_layer(io.BytesIO(archive), inside, budget=budget)
            else:
                unpack_model_archive(io.BytesIO(archive), inside, budget=budget)
    except ArchiveError as error:
        return str(error)
    finally:
        assert list(_seen(base, inside)) == before, "something outside has changed"
        assert not Path("/tmp/sm-hosting-escaped").exists()
        assert inside.is_dir(), "the folder itself is gone"
        _check_links(inside)
        assert sum(path.lstat().st_size for path in inside.rglob("*")) < 2 * MOST_BYTES
    return None


def _check_links(inside: Path) -> None:
    for path in inside.rglob("*"):
        if path.is_symlink():
            try:
                path.stat()
            except OSError as error:
                if error.errno == errno.ELOOP:
                    continue
            assert path.resolve().is_relative_to(inside.resolve()), f"{path} leads out"


def _seen(base: Path, inside: Path) -> Iterator[tuple[str, int, int, float, bytes]]:
    for path in (base, *sorted(base.iterdir())):
        if path != inside:
            found = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            yield path.name, found.st_mode, found.st_nlink if path.is_file() else 0, found.st_mtime, content


def main(write: Callable[[str], object] = sys.stdout.write) -> None:
    """Print the outcome of each shape, and the most memory that was used."""
    found: dict[str, str | None] = {}
    all_shapes = shapes()
    most = 0
    tracemalloc.start()
    for name, shape in all_shapes.items():
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        with tempfile.TemporaryDirectory() as base:
            try:
                found[name] = outcome(shape, Path(base))
            except Exception as error:
                found[name] = f"NOT REFUSED: {error!r}"
        most = max(most, tracemalloc.get_traced_memory()[1] - before)
    write(json.dumps({"python": sys.version.split()[0], "most_memory": most, "outcomes": found}))


if __name__ == "__main__":
    main()
