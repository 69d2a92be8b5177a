"""Large values in any file system that fsspec knows: a folder, S3, Google Cloud Storage, Azure, SFTP and others."""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any, ClassVar

from taskiq_flow.errors import BlobNotFound, PluginError, StoreError
from taskiq_flow.store import BlobStore
from taskiq_flow_serializers._words import import_extra

__all__ = ["FsspecBlobs"]

_TRIES = 3
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_SECRETS = re.compile(r"(?<=://)[^/@]*@")


class FsspecBlobs(BlobStore):
    """Keeps large values as files, in a folder for each run.

    ::

        Flow(broker, blobs="s3://bucket/flows")
        Flow(broker, blobs=FsspecBlobs("s3://bucket/flows", endpoint_url="http://minio:9000"))

    :param url: The folder, with a subfolder for each run. Two stores must not share it.
    :param options: Options for the file system, passed on by fsspec.
    :raises PluginError: fsspec, or what it needs for this URL, is not installed; or the URL cannot be used.
    """

    schemes: ClassVar[tuple[str, ...]] = (
        *("file", "local", "memory", "s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss"),
        *("sftp", "ssh", "ftp", "smb", "hdfs", "webhdfs"),
    )

    def __init__(self, url: str, **options: Any) -> None:
        fsspec = _library()
        self.place = _SECRETS.sub("…@", url)
        if any(mark in url for mark in "*?["):
            raise PluginError(
                f"{self.place!r} has one of '*', '?' and '[' in it, which file systems take for patterns"
            )
        protocol = url.partition("://")[0]
        try:
            # A missing package is found now, and not when the first large value comes.
            fsspec.get_filesystem_class(protocol)
        except (ImportError, ValueError) as error:
            raise PluginError(f"large values cannot be kept at {self.place!r}: {error}") from error
        self._url = url.rstrip("/") if url.partition("://")[2].strip("/") else url
        self._options = options
        self._opened: tuple[Any, str] | None = None

    def __repr__(self) -> str:
        return f"FsspecBlobs({self.place!r})"

    @classmethod
    def from_url(cls, url: str) -> FsspecBlobs:
        """Make the place from its URL, without connecting yet."""
        return cls(url)

    async def put(self, run: str, key: str, data: bytes) -> None:
        """Keep bytes under a key of a run."""
        await asyncio.to_thread(self._put, run, key, data)

    async def get(self, run: str, key: str) -> bytes:
        """Return the bytes.

        :raises BlobNotFound: there is nothing under that key of that run.
        """
        return await asyncio.to_thread(self._get, run, key)

    async def delete_run(self, run: str) -> None:
        """Delete all blobs of a run.

        :raises StoreError: some are still there.
        """
        await asyncio.to_thread(self._delete_run, run)

    def _put(self, run: str, key: str, data: bytes) -> None:
        files, folder = self._folder(run)
        path = f"{folder}/{_safe(key)}"
        try:
            files.pipe_file(path, data)
        except FileNotFoundError:
            # Only some file systems need folders to be made, and the run's folder may have been deleted meanwhile.
            files.makedirs(folder, exist_ok=True)
            files.pipe_file(path, data)

    def _get(self, run: str, key: str) -> bytes:
        files, folder = self._folder(run)
        try:
            data: bytes = files.cat_file(f"{folder}/{_safe(key)}")
        except FileNotFoundError:
            raise BlobNotFound(run, key, self.place) from None
        return data

    def _delete_run(self, run: str) -> None:
        files, folder = self._folder(run)
        for tries in range(1, _TRIES + 1):
            # A file system may cache a listing from before other processes wrote.
            files.invalidate_cache()
            try:
                files.rm(folder, recursive=True)
            except FileNotFoundError:
                return
            except Exception as error:
                # Another process may put a blob while its folder is emptied.
                if tries == _TRIES:
                    raise StoreError(
                        f"cannot delete the blobs of run {run!r} in {self.place}: {error}"
                    ) from error

    def _folder(self, run: str) -> tuple[Any, str]:
        if self._opened is None:
            files, root = _library().core.url_to_fs(self._url, **self._options)
            self._opened = files, str(root).rstrip("/")
        files, root = self._opened
        return files, f"{root}/{_safe(run)}"


def _safe(name: str) -> str:
    """Return a file name that is readable, allowed everywhere, and unique for each name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_UNSAFE.sub('_', name)[:80].strip('._') or '_'}.{digest}"


def _library() -> Any:
    return import_extra("fsspec", "a URL for large values", "fsspec")
