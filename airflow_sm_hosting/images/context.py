"""The build context of an image: its files, its fingerprint, and the tar to send."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from isal import igzip

from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.images.dockerignore import Dockerignore
from airflow_sm_hosting.stat_cache import StatCache, remembered, tree_state

DOCKERIGNORE = ".dockerignore"
#: Part of every fingerprint. Another canonical form needs another number, and renames every image that was built.
FINGERPRINT_VERSION = 1
#: Bytes of a script's first line that Linux looks at (BINPRM_BUF_SIZE).
_FIRST_LINE = 256
_READ_BUFFER = 256 * 1024
_SPOOL_LIMIT = 32 * 1024 * 1024


class ContextFile(NamedTuple):
    """Something in the build context.

    :param path: relative to the context's root, with ``/``
    :param kind: what it is
    :param executable: the owner's executable bit; the one bit of the mode that is kept, because the others depend on
        the umask of the user who checked out the folder
    :param target: where a symbolic link points to, as written
    :param size: of a file, in bytes, when the folder was listed
    :param only_for_build: the ``.dockerignore`` leaves it out, but the builder needs it: COPY must not see it
    """

    path: str
    kind: Literal["file", "directory", "symlink"]
    executable: bool = False
    target: str = ""
    size: int = 0
    only_for_build: bool = False


class BuildContext:
    """A folder to build, without the files that .dockerignore excludes.

    ``<dockerfile>.dockerignore`` is used instead of ``.dockerignore`` if it exists, as in BuildKit.

    :param directory: the folder
    :param dockerfile: path of the Dockerfile in the folder; None for a folder that a build of another one reads from
    :param cache: remembers the fingerprint as long as no file changes (default: none)
    :raises InvalidSpecError: the folder or the Dockerfile does not exist; the message has the absolute path
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        dockerfile: str | None = "Dockerfile",
        cache: StatCache | None = None,
    ) -> None:
        self._cache = cache
        self._head = self._fingerprint = ""
        self.directory = Path(os.path.abspath(directory))
        if not self.directory.is_dir():
            found = "is a file" if self.directory.exists() else "does not exist"
            raise InvalidSpecError(f"The build directory {self.directory} {found}; a build needs a folder")
        #: Scripts whose first line ends with a carriage return, so that the kernel looks for an interpreter with it in its name; known once
        #: the fingerprint is.
        self.scripts_with_carriage_return: list[str] = []
        self.dockerfile = "" if dockerfile is None else self._place_of(dockerfile)

    def _place_of(self, dockerfile: str) -> str:
        """Return the path of the Dockerfile in the folder."""
        path = Path(os.path.normpath(self.directory / dockerfile))
        if not path.is_relative_to(self.directory):
            raise InvalidSpecError(
                f"The Dockerfile {path} is outside of the build directory {self.directory}"
            )
        if not path.is_file():
            raise InvalidSpecError(f"The Dockerfile {path} does not exist; give its path with dockerfile=")
        self._refuse_link_out(path)
        return path.relative_to(self.directory).as_posix()

    def _refuse_link_out(self, dockerfile: Path) -> None:
        """Refuse a Dockerfile that is not in the folder: an engine gets only the folder."""
        real = Path(os.path.realpath(dockerfile))
        if not real.is_relative_to(os.path.realpath(self.directory)):
            raise InvalidSpecError(
                f"The Dockerfile {dockerfile} is a symbolic link that leads out of the build directory, to {real}; copy it into the folder"
            )

    def files(self) -> list[ContextFile]:
        """Return the content to send to the builder, sorted by path: files, links and folders (empty ones count, too).

        The Dockerfile and the ``.dockerignore`` are always there.
        """
        return self._files

    @cached_property
    def _files(self) -> list[ContextFile]:
        ignore = self._dockerignore()
        found: dict[str, ContextFile] = {}
        needed = {self.dockerfile, DOCKERIGNORE, self._ignore_file}
        for file, excluded in self._walk(ignore):
            if not excluded:
                found[file.path] = file
            elif file.path in needed and file.kind != "directory":
                found[file.path] = file._replace(only_for_build=True)
        if not ignore.is_empty:
            for path in list(found):
                _add_folders(found, path)
        return [found[path] for path in sorted(found, key=os.fsencode)]

    def fingerprint(
        self,
        *,
        build_args: Mapping[str, str] | None = None,
        target: str | None = None,
        platform: str | None = None,
        labels: Mapping[str, str] | None = None,
        extra: Iterable[str] = (),
    ) -> str:
        """Return the SHA-256, in hex, of everything that determines the image.

        That is the relative paths, contents, executable bits and link targets, and the options given here; not
        times, owners, the order of the folder, or where it is.

        :param build_args: of the build
        :param target: of the build
        :param platform: of the build
        :param labels: of the build
        :param extra: other strings that must give another fingerprint
        """
        options = {
            "version": FINGERPRINT_VERSION,
            "dockerfile": self.dockerfile,
            "build_args": dict(build_args or {}),
            "target": target,
            "platform": platform,
            "labels": dict(labels or {}),
            "extra": list(extra),
        }
        head = json.dumps(options, sort_keys=True, separators=(",", ":"))
        state, settled = self._state() if self._cache else ("", False)
        self._head = head
        found = remembered(
            self._cache,
            f"context {self.directory} {head}",
            state,
            settled=settled,
            compute=lambda: {
                "fingerprint": self._read_all(head),
                "scripts": self.scripts_with_carriage_return,
            },
        )
        self.scripts_with_carriage_return = list(found["scripts"])
        self._fingerprint = str(found["fingerprint"])
        return self._fingerprint

    def check_unchanged(self) -> None:
        """Check that what was read for a build is what the fingerprint names: an image must never have the tag of other content.

        :raises ImageBuildError: a file has changed since; nothing may be pushed
        """
        # Listed anew: a new file counts, too.
        self.__dict__.pop("_files", None)
        if self._fingerprint and self._read_all(self._head) != self._fingerprint:
            raise ImageBuildError(
                f"{self.directory} changes while its image is built; nothing is pushed. Build it when it is complete"
            )

    def _read_all(self, head: str) -> str:
        """Return the digest of the options and of all files."""
        self.scripts_with_carriage_return = []
        digest = hashlib.sha256(head.encode())
        buffer = bytearray(_READ_BUFFER)
        for file in self.files():
            # Each part carries its length or ends in a zero byte, which no path holds: no two trees read the same.
            kind = "executable" if file.executable else file.kind
            told = b"\0%b\0%b\0" % (kind.encode(), os.fsencode(file.path))
            if file.kind == "file":
                told += self._content_digest(file, buffer)
            elif file.kind == "symlink":
                told += os.fsencode(file.target) + b"\0"
                if file.path == self.dockerfile:
                    # What it leads to is read even where .dockerignore leaves it out.
                    told += self._content_digest(file, buffer)
            digest.update(told)
        return digest.hexdigest()

    def tar(self, *, compressed: bool = False) -> BinaryIO:
        """Return the context as the Docker Engine's API takes it: a tar, the same bytes for the same fingerprint.

        The caller closes it. Large ones are kept on disk.

        :param compressed: with gzip, without which BuildKit takes the tar for a Dockerfile (default: False)
        """
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOL_LIMIT)  # noqa: SIM115 # the caller closes it
        with (
            igzip.IGzipFile(fileobj=spool, mode="wb", compresslevel=1, mtime=0)  # type: ignore[no-untyped-call]
            if compressed
            else nullcontext(spool) as sink,
            tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for file in self.files():
                info = tarfile.TarInfo(file.path)
                info.mode = 0o755 if file.executable or file.kind == "directory" else 0o644
                if file.kind == "directory":
                    info.type = tarfile.DIRTYPE
                    archive.addfile(info)
                elif file.kind == "symlink":
                    info.type = tarfile.SYMTYPE
                    info.linkname = file.target
                    info.mode = 0o777
                    archive.addfile(info)
                else:
                    with self.open(file) as content:
                        info.size = os.fstat(content.fileno()).st_size
                        archive.addfile(info, content)
        self.check_unchanged()
        spool.seek(0)
        return spool  # type: ignore[return-value] # typeshed: https://github.com/python/typeshed/issues/1780

    def write_to(self, folder: Path) -> None:
        """Write the content into a new folder: what :meth:`tar` has, with the same modes and times.

        :param folder: for a builder that reads a folder and no tar
        """
        folder.mkdir()
        for file in self.files():
            place = folder / file.path
            if file.kind == "directory":
                place.mkdir()
            elif file.kind == "symlink":
                place.symlink_to(file.target)
            else:
                with self.open(file) as content, place.open("wb") as copy:
                    shutil.copyfileobj(content, copy, _READ_BUFFER)
                place.chmod(0o755 if file.executable else 0o644)
        for file in reversed(self.files()):  # a folder after its content, which changes its time
            os.utime(folder / file.path, (0, 0), follow_symlinks=False)
        self.check_unchanged()

    def open(self, file: ContextFile) -> BinaryIO:
        """Open a file of the context to read it."""
        try:
            return open(self.directory / file.path, "rb")
        except OSError as error:
            raise InvalidSpecError(f"A file of the build context cannot be read: {error}") from error

    def read_dockerfile(self) -> str:
        """Return the text of the Dockerfile."""
        return (self.directory / self.dockerfile).read_text(encoding="utf-8-sig")

    def _dockerignore(self) -> Dockerignore:
        if self._ignore_file is None:
            return Dockerignore(())
        return Dockerignore((self.directory / self._ignore_file).read_text(encoding="utf-8-sig").splitlines())

    @property
    def _ignore_file(self) -> str | None:
        """The file of patterns that is used: the Dockerfile's own, else the folder's."""
        names = (f"{self.dockerfile}{DOCKERIGNORE}", DOCKERIGNORE)
        return next((name for name in names if (self.directory / name).is_file()), None)

    def _walk(self, ignore: Dockerignore) -> Iterator[tuple[ContextFile, bool]]:
        """Yield what is in the folder, in any order, and whether it is excluded."""
        root = f"{self.directory}/"
        folders = [("", False)]
        while folders:
            prefix, parent_excluded = folders.pop()
            # Without a "!" in the file, the content of an excluded folder stays excluded: skip the folder.
            all_excluded = parent_excluded and not ignore.brings_back
            with os.scandir(root + prefix) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    excluded = all_excluded or (not ignore.is_empty and ignore.excludes(path))
                    if entry.is_symlink():
                        yield ContextFile(path, "symlink", target=os.readlink(entry.path)), excluded
                    elif entry.is_dir():
                        yield ContextFile(path, "directory"), excluded
                        if not excluded or ignore.brings_back or self._holds_dockerfile(path):
                            folders.append((f"{path}/", excluded))
                    else:
                        found = entry.stat()
                        mode = found.st_mode
                        if stat.S_ISREG(mode):
                            executable = bool(mode & stat.S_IXUSR)
                            yield ContextFile(path, "file", executable, "", found.st_size), excluded
                        elif not (excluded or stat.S_ISSOCK(mode)):  # Docker leaves sockets out, too
                            raise InvalidSpecError(
                                f"{self.directory / path} is a pipe or a device and cannot be part of a build; "
                                f"remove it or list it in {DOCKERIGNORE}"
                            )

    def _state(self) -> tuple[str, bool]:
        """Return the state of all that the fingerprint reads, and whether it is settled.

        What an excluded folder has is left out. Of a file that is excluded by itself, a change costs no more than reading all files again.
        """
        ignore = self._dockerignore()
        prunes = not ignore.is_empty and not ignore.brings_back
        # What a link leads to is read even where it is in an excluded folder, or outside.
        read = (self.dockerfile, self._ignore_file or "")
        others = [place for name in read if name and os.path.islink(place := f"{self.directory}/{name}")]
        if not prunes:
            return tree_state(self.directory, others=others)
        return tree_state(
            self.directory,
            skips=lambda path: ignore.excludes(path) and not self._holds_dockerfile(path),
            others=others,
        )

    def _holds_dockerfile(self, folder: str) -> bool:
        return self.dockerfile.startswith(f"{folder}/")

    def _content_digest(self, file: ContextFile, buffer: bytearray) -> bytes:
        # One buffer for all files: allocating one a file takes twice the time.
        digest = hashlib.sha256()
        try:
            descriptor = os.open(f"{self.directory}/{file.path}", os.O_RDONLY)
        except OSError as error:
            raise InvalidSpecError(f"A file of the build context cannot be read: {error}") from error
        try:
            count = os.readv(descriptor, [buffer])
            if (
                buffer.startswith(b"#!", 0, count)
                and b"\r" in buffer[: min(count, _FIRST_LINE)].partition(b"\n")[0]
            ):
                self.scripts_with_carriage_return.append(file.path)
            with memoryview(buffer) as view:
                digest.update(view[:count])
                total = count
                # Most files are read with one call: not asked for what comes after the end.
                while count and (total < file.size or count == len(buffer)):
                    count = os.readv(descriptor, [buffer])
                    digest.update(view[:count])
                    total += count
        finally:
            os.close(descriptor)
        return digest.digest()


def _add_folders(found: dict[str, ContextFile], path: str) -> None:
    """Add the parent folders of a path: an excluded folder is needed for a file in it that is included again."""
    only_for_build = found[path].only_for_build
    while "/" in path:
        path = path.rpartition("/")[0]
        known = found.get(path)
        if known is not None and (only_for_build or not known.only_for_build):
            return
        found[path] = ContextFile(path, "directory", only_for_build=only_for_build)
