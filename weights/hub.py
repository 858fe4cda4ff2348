"""Files from the Hugging Face Hub, through huggingface_hub's own requests, tokens, mirrors and cache.

``hf_hub_download`` itself is not used, for three things that it does not offer: since release 1.18 a file that was cut
off is thrown away and begun anew on the next try (https://github.com/huggingface/huggingface_hub/pull/4306); a server
that asks to wait is waited for without a limit; and a file counts as good before anyone has looked at its checksum. So
this module asks for the metadata (``get_hf_file_metadata``), sends its own GET over the library's session, keeps what
has arrived, goes on from there with a Range request (on the next try as well), and hands a file out only when its
SHA-256 is the right one. A good copy that is already in the library's cache is used as it is.

Environment: ``HF_ENDPOINT`` (mirror), ``HF_TOKEN``, ``HF_HUB_OFFLINE``, ``HF_HUB_CACHE`` mean what they always mean.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import paths, store
from .catalogue import CatalogueEntry
from .errors import DownloadFailed, NoRoom, UserError, shown

# What the library would tell the Hub of this machine, and ask it on the way, unless whoever runs this wants it.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

Progress = Callable[[int, int | None], None]  # (bytes so far, bytes in all or None)

ANSWER_S = 10.0  # seconds to wait for the first answer
STALL_S = 20.0  # seconds without a byte after which a connection counts as dead
SLOW_S, SLOW_BYTES = 60.0, 64 * 1024  # fewer bytes than this in that time: as good as dead
PAUSE_S = 1.0  # before a connection is taken up again
RETRIES = 3  # connections in a row that bring fewer than SLOW_BYTES
MAX_CONNECTIONS = 20  # in one call, whatever they bring
LIMIT = 8 * 2**30  # bytes, where nobody says how large the file is
REPORT_S = 0.2  # seconds between two progress reports

_offline = False


@dataclass(frozen=True)
class Remote:
    """What the Hub says about a file."""

    location: str
    etag: str
    size: int | None
    commit: str | None


class _Cut(Exception):
    """A connection ended early; ``reason`` is for the visitor."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def set_offline(value: bool = True) -> None:
    """With True, nothing is asked of the network any more (``app.py --offline``)."""
    global _offline
    _offline = bool(value)


def is_offline() -> bool:
    return _offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def cached(entry: CatalogueEntry) -> Path | None:
    """The file in huggingface_hub's own cache, if some program fetched it before. Asks no network."""
    folder = paths.hub_cache()
    if not (folder / f"models--{entry.repo.replace('/', '--')}").is_dir():
        return None  # the usual case, settled without importing the library
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(entry.repo, entry.file, cache_dir=folder, revision=entry.revision)
    return Path(found) if isinstance(found, str) else None


def size(entry: CatalogueEntry) -> int | None:
    """Bytes to download: from the catalogue, else from the Hub (one request, at most ``ANSWER_S`` seconds)."""
    if entry.size is not None or is_offline():
        return entry.size
    with _explained(entry):
        return _ask(entry).size


def download(entry: CatalogueEntry, progress: Progress | None = None, offline: bool | None = None) -> tuple[Path, str]:
    """Fetches one file and checks it.

    Args:
        progress: called with the bytes so far (those of earlier tries included) and in all, a few times a second.
        offline: True allows no request; None is as ``set_offline`` and HF_HUB_OFFLINE say.

    Returns:
        The file's path and SHA-256 (hexadecimal). It lies in the download folder, where the caller takes it away, or
        in huggingface_hub's cache, where the caller leaves it: ``is_ours`` tells.

    Raises:
        DownloadFailed: gone, refused, cut, stalled, wrong bytes, no network; each with what to do.
        NoRoom: the disk is full.
    """
    with _explained(entry):
        found = _from_library(entry)
        if found is not None:
            return found
        if is_offline() if offline is None else offline:
            raise DownloadFailed(
                f"{entry.name} is not on this machine and ganbook works offline; connect, or choose one at hand."
            )
        remote = _ask(entry)
        with _alone(entry) as folder:
            partial = folder / f"{_safe(remote.etag)}.partial"
            for old in folder.glob("*.partial"):
                if old != partial:  # of a version that the Hub has replaced
                    old.unlink(missing_ok=True)
            _fetch(entry, remote, partial, progress)
            sha256 = _verified(entry, remote, partial)
            return partial, sha256


def is_ours(path: Path) -> bool:
    """Whether a downloaded file lies in our download folder (and may be moved or removed)."""
    return path.is_relative_to(paths.cache() / "downloads")


# -- one step each


def _ask(entry: CatalogueEntry) -> Remote:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(entry.repo, entry.file, revision=entry.revision, endpoint=endpoint())
    found = get_hf_file_metadata(url, timeout=ANSWER_S, endpoint=endpoint())
    if not found.etag:
        raise DownloadFailed(
            f"{endpoint()} does not answer like a Hugging Face Hub; check HF_ENDPOINT, or your proxy, and try again."
        )
    return Remote(found.location, found.etag, found.size, found.commit_hash)


def _fetch(entry: CatalogueEntry, remote: Remote, partial: Path, progress: Progress | None) -> None:
    """Brings ``partial`` to its full length, over as many connections as it takes."""
    size = remote.size if remote.size is not None else entry.size
    if size is not None and size > LIMIT:
        raise DownloadFailed(f"{entry.name} has {size / 2**30:.1f} GB on the Hub, which is more than is downloaded.")
    have = partial.stat().st_size if partial.exists() else 0
    if size is not None and have > size:
        partial.unlink()
        have = 0
    partial.parent.mkdir(parents=True, exist_ok=True)
    if size is not None and shutil.disk_usage(partial.parent).free < size - have:
        raise NoRoom(store.no_room(partial.parent, size - have))
    idle = 0
    for connection in range(MAX_CONNECTIONS):
        before = partial.stat().st_size if partial.exists() else 0
        if size is not None and before == size:
            return
        try:
            _receive(entry, remote, partial, size, progress)
            return
        except _Cut as cut:
            after = partial.stat().st_size if partial.exists() else 0
            idle = 0 if after >= before + SLOW_BYTES else idle + 1
            if idle >= RETRIES or connection + 1 == MAX_CONNECTIONS:
                raise DownloadFailed(
                    f"The download of {entry.name} stopped ({cut.reason}) after {after / 2**20:.1f} MB, which are kept:"
                    f" try again and it goes on from there; the file is at {entry.link}"
                ) from cut
            time.sleep(PAUSE_S)


def _receive(entry: CatalogueEntry, remote: Remote, partial: Path, size: int | None, progress: Progress | None) -> None:
    """One connection: appends to ``partial``. Raises _Cut when it ends before the file does."""
    from huggingface_hub import get_session, hf_raise_for_status
    from huggingface_hub.utils import build_hf_headers

    start = partial.stat().st_size if partial.exists() else 0
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if not remote.location.startswith(endpoint() + "/"):
        headers.pop("authorization", None)  # a signed address elsewhere: the token is none of its business
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with get_session().stream(
            "GET", remote.location, headers=headers, timeout=STALL_S, follow_redirects=True
        ) as response:
            if response.status_code == 416:  # what is there cannot be continued
                partial.unlink(missing_ok=True)
                raise _Cut("the server could not continue")
            hf_raise_for_status(response)
            start = _where_it_goes_on(response, start)
            with open(partial, "r+b" if start else "wb") as file:
                file.seek(start)
                file.truncate()
                _write(entry, file, response.iter_bytes(), start, size, progress)
    except (UserError, _Cut):
        raise
    except Exception as error:
        if _is_transport(error):
            raise _Cut(_reason(error)) from error
        raise
    if size is not None and partial.stat().st_size < size:
        raise _Cut("the connection was cut")


def _where_it_goes_on(response, start: int) -> int:
    """The offset of the first byte of the answer. A server may ignore the wish and send everything."""
    if response.status_code != 206:
        return 0
    stated = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if not stated or int(stated[1]) != start:
        raise _Cut("the server continued at a wrong place")
    return start


def _write(entry: CatalogueEntry, file, chunks: Iterator[bytes], done: int, size: int | None, progress) -> None:
    most = LIMIT if size is None else size
    reported = 0.0
    window_from, window_bytes = time.monotonic(), 0
    if progress:
        progress(done, size)
    for chunk in chunks:
        done += len(chunk)
        window_bytes += len(chunk)
        if done > most:
            file.truncate(0)
            raise DownloadFailed(
                f"The server sent more for {entry.name} than it announced, so it was thrown away; see {entry.link}"
            )
        file.write(chunk)
        now = time.monotonic()
        if now - window_from > SLOW_S:
            if window_bytes < SLOW_BYTES:
                raise _Cut("hardly anything arrives any more")
            window_from, window_bytes = now, 0
        if progress and now - reported > REPORT_S:
            progress(done, size)
            reported = now
    if progress:
        progress(done, size)


def _verified(entry: CatalogueEntry, remote: Remote, partial: Path) -> str:
    """SHA-256 of the file if it is the published one; otherwise the file is removed.

    What it has to be: the catalogue's checksum, else the one that the Hub reports as the file's ETag, which for large
    files is their SHA-256 and for small ones Git's hash of them.
    """
    length = partial.stat().st_size
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % length, usedforsecurity=False)
    with open(partial, "rb") as file:
        while block := file.read(2**20):
            sha256.update(block)
            git.update(block)
    if entry.sha256:
        good = sha256.hexdigest() == entry.sha256
    elif re.fullmatch(r"[0-9a-f]{64}", remote.etag):
        good = sha256.hexdigest() == remote.etag
    elif re.fullmatch(r"[0-9a-f]{40}", remote.etag):
        good = git.hexdigest() == remote.etag
    else:
        partial.unlink(missing_ok=True)
        raise DownloadFailed(
            f"{endpoint()} states no checksum for {entry.name}, so it cannot be checked; see {entry.link}"
        )
    if not good:
        partial.unlink(missing_ok=True)
        raise DownloadFailed(
            f"The file that arrived for {entry.name} is not the published one (its SHA-256 is another), so it was"
            f" removed; try again later, or look at {entry.link}"
        )
    return sha256.hexdigest()


def _from_library(entry: CatalogueEntry) -> tuple[Path, str] | None:
    """A copy in huggingface_hub's cache, if it is what it should be. A spoilt copy is removed, its blob too."""
    path = cached(entry)
    if path is None:
        return None
    blob = path.resolve()
    sha256 = file_sha256(blob)
    named = blob.name if re.fullmatch(r"[0-9a-f]{64}", blob.name) else None
    if sha256 == (entry.sha256 or named):
        return path, sha256
    if named and sha256 != named:
        path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
    return None


def file_sha256(path: Path) -> str:
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(2**20):
            sha256.update(block)
    return sha256.hexdigest()


@contextlib.contextmanager
def _alone(entry: CatalogueEntry) -> Iterator[Path]:
    """The folder for one file's download, for one process at a time."""
    from filelock import FileLock, Timeout  # huggingface_hub and torch both come with it

    key = hashlib.sha256(f"{endpoint()} {entry.repo} {entry.file} {entry.revision}".encode()).hexdigest()[:16]
    folder = paths.cache() / "downloads" / key
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=1)
    try:
        lock.acquire()
    except Timeout:
        raise DownloadFailed(f"{entry.name} is being downloaded by another program; try again in a minute.") from None
    try:
        yield folder
    finally:
        lock.release()


def _safe(etag: str) -> str:
    return re.sub(r"[^0-9A-Za-z]", "", etag)[:64] or "file"


# -- what went wrong, in words


@contextlib.contextmanager
def _explained(entry: CatalogueEntry) -> Iterator[None]:
    """Turns what the library and the system raise into one sentence for the visitor."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if store.is_full(error):
            raise NoRoom(store.no_room(paths.cache(), entry.size)) from error
        message = _answer(entry, error)
        if message is None and _is_transport(error):
            message = (
                f"{endpoint()} cannot be reached ({_reason(error)}), so {entry.name} was not downloaded; check the"
                " connection and try again, or choose a checkpoint that is at hand."
            )
        if message is None and isinstance(error, OSError):
            message = f"{entry.name} could not be stored in {paths.cache()} ({error.strerror or type(error).__name__})."
        if message is None:
            raise
        raise DownloadFailed(message) from error


def _answer(entry: CatalogueEntry, error: Exception) -> str | None:
    """A sentence for an answer of the Hub that is not the file."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return None
    kind = type(error).__name__
    if kind == "GatedRepoError" or status == 403:
        return (
            f"{entry.name} is only given to people who accepted its terms: open {entry.link}, accept them, and start"
            " ganbook with your token in HF_TOKEN."
        )
    if status == 404:
        return f"{entry.name} is not on the Hub any more (nothing is found at {entry.link}); choose another checkpoint."
    if status == 401:  # also the answer for repositories that do not exist, when no token is sent
        return (
            f"The Hub does not give out {entry.name} without permission, or it is gone: look at {entry.link}, and set"
            " HF_TOKEN to a valid token if it asks for one."
        )
    if status == 429:
        wait = str(response.headers.get("Retry-After", "")).strip()
        when = f"in {shown(wait, 40)} seconds" if wait.isdigit() else f"after {shown(wait, 40)}" if wait else "later"
        return f"The Hub has had too many requests from here; try {entry.name} again {when}."
    return f"The Hub answers with error {status} for {entry.name}; try again later, or look at {entry.link}"


def _is_transport(error: BaseException) -> bool:
    """Whether the network failed. Told by name: the library's HTTP client has changed twice (httpx, httpx2)."""
    kinds = {kind.__name__ for kind in type(error).__mro__}
    return bool(kinds & {"TransportError", "TimeoutException", "OfflineModeIsEnabled", "ConnectionError", "Timeout"})


def _reason(error: BaseException) -> str:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if kinds & {"TimeoutException", "Timeout", "TimeoutError"}:
        return "no answer in time"
    if "ConnectError" in kinds:
        return "no connection"
    if "OfflineModeIsEnabled" in kinds:
        return "HF_HUB_OFFLINE is set"
    return "the connection was cut"
