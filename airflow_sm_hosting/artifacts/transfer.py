"""Send a file to S3: in one call, or in parts that are sent in parallel, where an interrupted upload is resumed.

The client's own calls send the parts, so its endpoint, proxy, CA bundle, retries and renewal of credentials apply. Only their body is ours: it
hands out blocks of one MiB in place of botocore's 16 KiB, and its checksum is a header, so that nothing is read a second time to sign it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from isal import isal_zlib

from airflow_sm_hosting.artifacts.checksums import Checksums, base64_of
from airflow_sm_hosting.byte_progress import Log

_MEBIBYTE = 1024 * 1024
_BLOCK = _MEBIBYTE
#: A file of this size goes in parts.
THRESHOLD = 64 * _MEBIBYTE
#: The most parts of an upload (S3 user guide, "Amazon S3 multipart upload limits").
MOST_PARTS = 10_000
#: Connections in use: one carries about 90 MB/s from S3 and to it ("Performance design patterns for Amazon S3").
THREADS = 8
#: CopyObject takes no larger object (API_CopyObject).
LARGEST_COPY = 5 * 1024**3
#: An unfinished upload that got no part for so long belongs to a killed task: a part takes less on any link that serves.
IDLE = timedelta(minutes=10)

CHECKSUM_HEADER = "x-amz-checksum-crc32"
#: Answers to a call of an upload that another run has completed or aborted meanwhile, or of which it has sent a part anew.
_OVERTAKEN = ("NoSuchUpload", "InvalidPart")
#: Answers to other bytes than those that were hashed: another checksum, or another ETag of an object that is copied.
_CHANGED = ("BadDigest", "PreconditionFailed")


class FileChangedError(Exception):
    """The file is not the one that was hashed."""


class OvertakenError(Exception):
    """Another run has completed or aborted the upload, or sent a part of it anew; look what is there, and go on from that."""


class _StoppedError(Exception):
    """Another part has failed, or the task is ending."""


def error_code(error: ClientError) -> str:
    """Return the service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


class FileBody:
    """A section of a file, as the body of a request; it may be read by several threads at once.

    :param descriptor: The open file.
    :param start: Where it starts.
    :param size: Its bytes.
    :param stopped: Ends the reading, from another thread.
    :param on_sent: Called with the bytes of each block, and with fewer than none where it is rewound.
    """

    def __init__(
        self,
        descriptor: int,
        start: int,
        size: int,
        stopped: Event,
        on_sent: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._descriptor = descriptor
        self._start = start
        self._size = size
        self._stopped = stopped
        self._on_sent = on_sent
        self._position = 0
        self._block = memoryview(bytearray(min(size, _BLOCK)))

    def __len__(self) -> int:
        return self._size

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a position: botocore does so before it sends a request again."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._on_sent(base + offset - self._position)
        self._position = base + offset
        return self._position

    def read(self, amount: int | None = None) -> bytes | memoryview:
        """Return the next block, which is valid until the next call; without an amount, all bytes.

        A block may be longer than asked for: urllib3 asks for 16 KiB, and a block of one MiB takes half the CPU to encrypt and send.

        :raises FileChangedError: When the file is shorter than it was.
        """
        if amount is None or amount < 0:
            return b"".join(bytes(block) for block in iter(lambda: self.read(_BLOCK), b""))
        block = self._next()
        self._on_sent(len(block))
        return block

    def crc32(self) -> int:
        """Return the CRC-32 of all bytes."""
        checksum, self._position = 0, 0
        while block := self._next():
            checksum = isal_zlib.crc32(block, checksum)
        self._position = 0
        return checksum

    def md5(self) -> str:
        """Return the MD5 of all bytes, in hex."""
        digest, self._position = hashlib.md5(usedforsecurity=False), 0
        while block := self._next():
            digest.update(block)
        self._position = 0
        return digest.hexdigest()

    def _next(self) -> memoryview:
        if self._stopped.is_set():
            raise _StoppedError
        view = self._block[: max(0, min(len(self._block), self._size - self._position))]
        count = os.preadv(self._descriptor, [view], self._start + self._position) if view else 0
        if view and not count:
            raise FileChangedError("it became shorter")
        self._position += count
        return view[:count]


@dataclass(frozen=True)
class FileToSend:
    """An open file, and what it must be.

    :param descriptor: The open file.
    :param size: Its bytes.
    :param checksums: Its checksums. Those of its parts spare a read of it.
    """

    descriptor: int
    size: int
    checksums: Checksums


@dataclass(frozen=True)
class ObjectToCopy:
    """An object in S3, and what it must be. S3 copies it by itself.

    :param bucket: Its bucket.
    :param key: Its key.
    :param etag: Its ETag, as S3 writes it.
    :param version_id: Its version, if the bucket keeps versions.
    :param size: Its bytes.
    :param checksums: Its checksums, and those of its parts.
    """

    bucket: str
    key: str
    etag: str
    version_id: str | None
    size: int
    checksums: Checksums

    @property
    def members(self) -> dict[str, Any]:
        """The members of CopyObject and UploadPartCopy."""
        # Without its version, for which S3 wants another permission (s3:GetObjectVersion): the ETag says which bytes are meant.
        source = {"Bucket": self.bucket, "Key": self.key}
        return {"CopySource": source, "CopySourceIfMatch": self.etag}


@dataclass(frozen=True)
class Section:
    """The place of a part in the file, and its CRC-32 where it is known."""

    number: int
    start: int
    size: int
    crc32: int | None


def sections(size: int, checksums: Checksums) -> list[Section]:
    """Return the parts of a file, whose places are a function of its size alone, so that another try makes the same ones.

    :param size: Bytes of the file.
    :param checksums: Its checksums.
    """
    pieces = -(-size // checksums.piece_size)
    one = checksums.piece_size * -(-pieces // MOST_PARTS)
    known = checksums.pieces if one == checksums.piece_size and len(checksums.pieces) == pieces else ()
    return [
        Section(
            number=number,
            start=start,
            size=min(one, size - start),
            crc32=known[number - 1] if known else None,
        )
        for number, start in enumerate(range(0, size, one), start=1)
    ]


@dataclass(frozen=True)
class UploadTarget:
    """An object that is written.

    :param client: A client of S3.
    :param where: The members that name it in every call: Bucket, Key, and ExpectedBucketOwner where it is checked.
    :param log: Logger of the task.
    """

    client: Any
    where: Mapping[str, str]
    log: Log

    @property
    def uri(self) -> str:
        """The object's URI."""
        return f"s3://{self.where['Bucket']}/{self.where['Key']}"


def send(
    target: UploadTarget,
    file: FileToSend | ObjectToCopy,
    members: Mapping[str, Any],
    *,
    resume: bool = True,
    on_sent: Callable[[int], None] = lambda count: None,
) -> bool:
    """Send a file, or have S3 copy an object; S3 stores a file only if its bytes have the CRC-32 that is expected of them.

    :param target: The object.
    :param file: The file, or the object that is copied.
    :param members: Members of PutObject and CreateMultipartUpload, such as ``Metadata``.
    :param resume: Whether an unfinished upload may be resumed.
    :param on_sent: Called with the bytes that are sent or are there already, and with fewer than none before they are sent again; from
        several threads.
    :return: Whether an unfinished upload was resumed, which has the members of that time.
    :raises FileChangedError: When S3 has found another CRC-32, or the file is shorter.
    :raises OvertakenError: When another run has completed or aborted the upload.
    :raises ClientError: When S3 refuses.
    """
    try:
        match file:
            case ObjectToCopy() if file.size <= LARGEST_COPY:
                kind = {
                    "ChecksumAlgorithm": "CRC32",
                    "MetadataDirective": "REPLACE",
                    "TaggingDirective": "REPLACE",
                }
                target.client.copy_object(**target.where, **members, **file.members, **kind)
                on_sent(file.size)
            case FileToSend() if file.size < THRESHOLD:
                _sign_without_reading(target.client)
                body = FileBody(file.descriptor, 0, file.size, Event(), on_sent)
                checksum = {"ChecksumAlgorithm": "CRC32", "ChecksumCRC32": base64_of(file.checksums.crc32)}
                target.client.put_object(Body=body, **target.where, **members, **checksum)
            case _:
                _sign_without_reading(target.client)
                return _Parts(target, file, members, on_sent).send(resume=resume)
    except HTTPClientError as error:
        # botocore wraps what the body raises.
        cause = error.kwargs.get("error")
        raise cause if isinstance(cause, FileChangedError | OSError) else error from error
    except ClientError as error:
        if error_code(error) in _CHANGED:
            raise FileChangedError("S3 has found another content") from error
        raise
    return False


def _sign_without_reading(client: Any) -> None:
    """Have botocore sign a request with our body without a SHA-256 of it, as it does for one whose checksum it computes itself.

    It does so over TLS alone (botocore, S3SigV4Auth); ``payload_signing_enabled`` of the client's configuration still decides.
    """

    def tell_checksum(request: Any, **_: Any) -> None:
        if isinstance(request.data, FileBody) and CHECKSUM_HEADER in request.headers:
            checksum = {"algorithm": "crc32", "in": "header", "name": CHECKSUM_HEADER}
            request.context["checksum"] = {"request_algorithm": checksum}

    for operation in ("PutObject", "UploadPart"):
        name = f"before-sign.s3.{operation}"
        client.meta.events.register(name, tell_checksum, unique_id=f"sm-hosting-checksum-{operation}")


@dataclass(frozen=True)
class _Unfinished:
    """An unfinished upload of the object, and its parts as ListParts describes them."""

    upload: Mapping[str, Any]
    parts: Mapping[int, Mapping[str, Any]]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.upload["UploadId"])

    @property
    def is_idle(self) -> bool:
        """Whether it has got no part for a while."""
        last = max((one["LastModified"] for one in self.parts.values()), default=self.upload["Initiated"])
        return bool(datetime.now(UTC) - last >= IDLE)

    @property
    def is_ours(self) -> bool:
        """Whether S3 computes the checksum of the whole object that is sent at the end."""
        kind = (self.upload.get("ChecksumAlgorithm"), self.upload.get("ChecksumType"))
        return kind == ("CRC32", "FULL_OBJECT")


class _FilePart:
    """A part of a file."""

    def __init__(self, body: FileBody, section: Section) -> None:
        self._body = body
        self.checksum = base64_of(body.crc32() if section.crc32 is None else section.crc32)

    def is_there(self, there: Mapping[str, Any]) -> bool:
        """Return whether a part in S3 has the bytes: by its checksum, else by its ETag, which is an MD5 unless KMS encrypts it (API_Object)."""
        if there["Size"] != len(self._body):
            return False
        if found := there.get("ChecksumCRC32"):
            return bool(found == self.checksum)
        return bool(there["ETag"].strip('"') == self._body.md5())

    def send(self, call: Callable[..., Any]) -> str:
        """Send it, and return its ETag."""
        checksum = {"ChecksumAlgorithm": "CRC32", "ChecksumCRC32": self.checksum}
        return str(call("upload_part", Body=self._body, **checksum)["ETag"])


class _CopiedPart:
    """A part of an object, which S3 copies."""

    def __init__(self, source: ObjectToCopy, section: Section, on_sent: Callable[[int], None]) -> None:
        self._source = source
        self._on_sent = on_sent
        self._section = section
        self.checksum = None if section.crc32 is None else base64_of(section.crc32)

    def is_there(self, there: Mapping[str, Any]) -> bool:
        """Return whether a part in S3 has the bytes, as far as its checksum says so."""
        return self.checksum is not None and there.get("ChecksumCRC32") == self.checksum

    def send(self, call: Callable[..., Any]) -> str:
        """Have it copied, and return its ETag."""
        start, size = self._section.start, self._section.size
        span = f"bytes={start}-{start + size - 1}"
        answer = call("upload_part_copy", CopySourceRange=span, **self._source.members)
        self._on_sent(size)
        return str(answer["CopyPartResult"]["ETag"])


@dataclass
class _Parts:
    """An upload in parts.

    Several runs may send the same file at once, and all of them complete. A second run takes up the upload of the first, be it killed or
    alive, as S3 does not tell, and both send the parts that are missing. These have the same bytes, because the key is derived from them, or
    else the upload is not taken up (``_first_fits``). The first to complete wins. To the other one S3 answers ``NoSuchUpload``; or
    ``InvalidPart``, where a part that it has sent was sent anew and S3 gave it another ETag, as with KMS. Then it looks again, and finds
    the object, or completes with the ETags of now. An upload is aborted only if the file has changed, by the run that began it, or if it has
    been idle for ten minutes and cannot be resumed. What fails otherwise stays for the next try.
    """

    target: UploadTarget
    file: FileToSend | ObjectToCopy
    members: Mapping[str, Any]
    on_sent: Callable[[int], None]
    stopped: Event = field(default_factory=Event)

    def send(self, *, resume: bool) -> bool:
        wanted = sections(self.file.size, self.file.checksums)
        unfinished = list(self._unfinished())
        found = next(iter(sorted(unfinished, key=lambda one: -self._kept(one, wanted))), None)
        if not (resume and found and self._kept(found, wanted) and self._first_fits(found, wanted)):
            found = None
        self._abort_idle(one for one in unfinished if one is not found)
        begun = None
        try:
            if found:
                self.target.log.info(
                    "Resuming the upload of %s of %s: %d of %d parts are there",
                    self.target.uri,
                    found.upload["Initiated"],
                    len(found.parts),
                    len(wanted),
                )
            else:
                kind = {"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}
                answer = self._call("create_multipart_upload", **self.members, **kind)
                begun = answer["UploadId"]
            upload_id = found.id if found else str(begun)
            parts = self._send_missing(upload_id, wanted, found.parts if found else {})
            self._call(
                "complete_multipart_upload",
                UploadId=upload_id,
                MultipartUpload={"Parts": parts},
                ChecksumCRC32=base64_of(self.file.checksums.crc32),
                ChecksumType="FULL_OBJECT",
                MpuObjectSize=self.file.size,
            )
        except (ClientError, FileChangedError, HTTPClientError) as error:
            if isinstance(error, ClientError) and error_code(error) in _OVERTAKEN:
                raise OvertakenError(
                    f"{error_code(error)}: another run has gone on with the upload"
                ) from error
            if begun and _is_about_the_file(error):
                self._abort(str(begun))
            raise
        return found is not None

    def _send_missing(
        self, upload_id: str, wanted: Sequence[Section], there: Mapping[int, Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """Send the parts that are not there; return all of them, as CompleteMultipartUpload takes them."""
        threads = max(1, min(THREADS, int(self.target.client.meta.config.max_pool_connections)))
        with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
            sent = [pool.submit(self._send_part, upload_id, one, there.get(one.number)) for one in wanted]
            try:
                wait(sent, return_when=FIRST_EXCEPTION)
            finally:
                self.stopped.set()
                pool.shutdown(wait=True, cancel_futures=True)
        _raise_first(sent)
        return [one.result() for one in sent]

    def _send_part(self, upload_id: str, one: Section, there: Mapping[str, Any] | None) -> dict[str, Any]:
        """Send a part, or have it copied, unless it is there."""
        part = self._part(one)
        if there and part.is_there(there):
            etag = there["ETag"]
            self.on_sent(one.size)
        elif self.stopped.is_set():
            raise _StoppedError
        else:
            etag = part.send(partial(self._call, UploadId=upload_id, PartNumber=one.number))
        checksum = {"ChecksumCRC32": part.checksum} if part.checksum else {}
        return {"PartNumber": one.number, "ETag": etag, **checksum}

    def _part(self, one: Section) -> _FilePart | _CopiedPart:
        if isinstance(self.file, ObjectToCopy):
            return _CopiedPart(self.file, one, self.on_sent)
        body = FileBody(self.file.descriptor, one.start, one.size, self.stopped, self.on_sent)
        return _FilePart(body, one)

    def _call(self, operation: str, **members: Any) -> Any:
        return getattr(self.target.client, operation)(**self.target.where, **members)

    def _unfinished(self) -> Iterator[_Unfinished]:
        """Yield the unfinished uploads of the object; none where the task may not list them."""
        key = self.target.where["Key"]
        where = {name: value for name, value in self.target.where.items() if name != "Key"}
        try:
            pages = self.target.client.get_paginator("list_multipart_uploads").paginate(Prefix=key, **where)
            for upload in [one for page in pages for one in page.get("Uploads", []) if one["Key"] == key]:
                found = self.target.client.get_paginator("list_parts").paginate(
                    UploadId=upload["UploadId"], **self.target.where
                )
                parts = {one["PartNumber"]: one for page in found for one in page.get("Parts", [])}
                yield _Unfinished(upload, parts)
        except ClientError as error:
            # Optional: without the permission, they stay until a lifecycle rule or the clean-up ends them.
            self.target.log.info(
                "Unfinished uploads of %s are neither resumed nor aborted: %s", self.target.uri, error
            )

    @staticmethod
    def _kept(found: _Unfinished, wanted: Sequence[Section]) -> int:
        """Return how many parts of an unfinished upload may be kept, by their sizes."""
        if not found.is_ours:
            return 0
        return sum(found.parts[one.number]["Size"] == one.size for one in wanted if one.number in found.parts)

    def _first_fits(self, found: _Unfinished, wanted: Sequence[Section]) -> bool:
        """Return whether the first part has the bytes of the file: a folder that another version has compressed has others."""
        one = next(one for one in wanted if one.number in found.parts)
        return self._part(one).is_there(found.parts[one.number])

    def _abort_idle(self, unfinished: Iterator[_Unfinished]) -> None:
        """Abort uploads that a killed task has left, and that cannot be resumed: S3 bills their parts."""
        for one in unfinished:
            if one.is_idle:
                self.target.log.info(
                    "Aborting the unfinished upload of %s of %s", self.target.uri, one.upload["Initiated"]
                )
                self._abort(one.id)

    def _abort(self, upload_id: str) -> None:
        try:
            self._call("abort_multipart_upload", UploadId=upload_id)
        except (ClientError, BotoCoreError) as error:
            self.target.log.info("An unfinished upload of %s is not aborted: %s", self.target.uri, error)


def _is_about_the_file(error: Exception) -> bool:
    """Return whether an upload failed because the file has changed."""
    if isinstance(error, HTTPClientError):
        return isinstance(error.kwargs.get("error"), FileChangedError)
    return isinstance(error, FileChangedError) or (
        isinstance(error, ClientError) and error_code(error) in _CHANGED
    )


def _raise_first(futures: Sequence[Future[Any]]) -> None:
    """Raise the error that has stopped the others."""
    for one in futures:
        error = None if one.cancelled() else one.exception()
        cause = error.kwargs.get("error") if isinstance(error, HTTPClientError) else error
        if error and not isinstance(cause, _StoppedError):
            raise error
