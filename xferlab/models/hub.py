"""Downloads checkpoints of the Hugging Face Hub; an error says why one cannot be had."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from xferlab.errors import ConfigError
from xferlab.models.checkpoint_files import (
    CONFIG,
    PYTORCH,
    SAFETENSORS,
    SENTENCE_FILES,
    TOKENIZER_FILES,
    WEIGHT_FORMATS,
    has_weights,
    read_table,
)
from xferlab.models.hub_errors import CHECKPOINT, gated, unknown_repository, unknown_revision
from xferlab.models.hub_transfer import fetch_large, files_of_format, remote_files

CONVERTER = "SFconvertbot"
"""The Hub's account that converts weights to safetensors in pull requests."""
MIN_SPEED = 1024  # bytes a second, over each window of WINDOW_SECONDS
WINDOW_SECONDS = 30.0
CONNECT_SECONDS = 5.0
"""How long a connection may take."""

log = logging.getLogger("xferlab")

_NO_NETWORK = "without a network use model=bert (it is bundled), or model.checkpoint=FOLDER"
_WORKS_OFFLINE = (
    f"{_NO_NETWORK}; or run once where the Hub can be reached, and then with HF_HUB_OFFLINE=1"
)


@contextmanager
def _without_bars() -> Iterator[None]:
    """Switch the bars of the Hub's client off: it draws three for a few kilobytes."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    was_on = not are_progress_bars_disabled()
    if was_on:
        disable_progress_bars()
    try:
        yield
    finally:
        if was_on and sys.stderr.isatty():
            enable_progress_bars()


@_without_bars()
def download(
    repo_id: str,
    revision: str | None,
    *,
    weights: bool,
    check_config: Callable[[dict[str, Any]], None],
    check_folder: Callable[[Path], None],
) -> tuple[Path, str]:
    """Return the local folder of a Hub checkpoint and the commit that it is of.

    The configuration is fetched and checked first, then the tokenizer, then the weights. Everything
    is of one commit. Files in the Hub's cache are not fetched again; the cache is enough where the
    Hub cannot be reached.

    Args:
        repo_id: ``ORG/NAME``.
        revision: a branch, tag, commit or ``refs/pr/N``; None is the default branch.
        weights: False does not download the weights.
        check_config: raises a ConfigError for a ``config.json`` that cannot be used.
        check_folder: raises one for a folder whose tokenizer cannot be used.

    Raises:
        ConfigError: it cannot be downloaded, and the cache does not have it.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HFValidationError, RevisionResolutionError

    limit_waits()
    where = f"model.checkpoint={repo_id}" + (f"@{revision}" if revision else "")
    try:
        commit = HfApi(library_name="xferlab").resolve_revision(repo_id, revision=revision)
        config = hf_hub_download(repo_id, CONFIG, revision=commit, library_name="xferlab")
        check_config(read_table(Path(config), where))
        folder = _fetch(repo_id, commit, (CONFIG, *TOKENIZER_FILES, *SENTENCE_FILES))
        check_folder(folder)
        if weights and not has_weights(folder, SAFETENSORS):
            _fetch_weights(repo_id, commit, folder, where)
    except (OSError, HFValidationError, RevisionResolutionError) as error:
        _refuse(error, repo_id, revision, where)
    except Exception as error:  # httpx2 has its own tree of errors, imported only here
        if not _is_transport_error(error):
            raise
        _refuse(error, repo_id, revision, where)
    return folder, commit.resolved


def _fetch(repo_id: str, commit: str, patterns: tuple[str, ...]) -> Path:
    """Return the local folder of a commit after the files of some patterns were fetched."""
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        repo_id,
        revision=commit,
        allow_patterns=list(patterns),
        ignore_patterns=["*/*/*"],
        library_name="xferlab",
    )
    return Path(folder)


def _fetch_weights(repo_id: str, commit: Any, folder: Path, where: str) -> None:
    """Fetch the weights in the first format that the repository has.

    Args:
        repo_id: ``ORG/NAME``.
        commit: a ``ResolvedRevision`` of the Hub's client.
        folder: the commit's, with its other files.
        where: of the errors.
    """
    try:
        files = remote_files(repo_id, commit.resolved)
    except Exception:
        if has_weights(folder, PYTORCH):
            return  # the Hub cannot be reached, and its cache is enough
        raise
    for format in WEIGHT_FORMATS:
        found = files_of_format(files, format)
        if not found:
            continue
        fetch_large(repo_id, commit.resolved, found, where)
        _fetch(repo_id, commit, format.patterns)
        if format is PYTORCH:
            _report_conversion(repo_id)
        return


def _report_conversion(repo_id: str) -> None:
    """Log the pull request in which the Hub's own bot converted the weights, if there is one."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        found = HfApi(library_name="xferlab").get_repo_discussions(
            repo_id, author=CONVERTER, discussion_type="pull_request"
        )
        numbers = [each.num for each in found]
    except (OSError, HfHubHTTPError):
        return
    for number in numbers[:1]:
        log.info(
            "%s has no safetensors; its weights are read as data from %s."
            " A converted copy: %s@refs/pr/%d",
            repo_id,
            PYTORCH.file,
            repo_id,
            number,
        )


def _refuse(error: Exception, repo_id: str, revision: str | None, where: str) -> NoReturn:
    """Raise the ConfigError that says why the Hub gave nothing."""
    from huggingface_hub import errors

    status = _status(error)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        raise gated(CHECKPOINT, repo_id, where) from error
    if isinstance(error, errors.RevisionNotFoundError):
        raise unknown_revision(repo_id, revision or "main", where) from error
    if isinstance(error, errors.EntryNotFoundError) and status == 404:
        raise ConfigError(
            f"'{repo_id}' has no config.json: it is not a transformers checkpoint",
            where=where,
            fix="choose a checkpoint that transformers can load",
        ) from error
    if isinstance(error, errors.HFValidationError) or status in (401, 404):
        raise unknown_repository(CHECKPOINT, repo_id, where) from error
    what, fix = _unreachable(error, repo_id)
    raise ConfigError(what, where=where, fix=fix) from error


def _unreachable(error: Exception, repo_id: str) -> tuple[str, str]:
    """Return message and fix of an error of the network or the disk."""
    from huggingface_hub import constants, errors

    if constants.is_offline_mode():
        return (
            f"HF_HUB_OFFLINE is set and '{repo_id}' is not complete in the Hub's cache",
            "unset HF_HUB_OFFLINE and run once to fill the cache; " + _NO_NETWORK,
        )
    cause = error.__cause__ or error
    status = _status(error)
    if status is not None:
        return f"the Hub answered {status} for '{repo_id}'", "try again later; " + _WORKS_OFFLINE
    if isinstance(error, TooSlowError):
        return (
            f"the download of '{repo_id}' is too slow: {error}",
            "try again later; " + _WORKS_OFFLINE,
        )
    if (
        isinstance(error, OSError)
        and error.errno
        and not isinstance(error, errors.LocalEntryNotFoundError)
    ):
        return (
            f"the files of '{repo_id}' cannot be stored: {error}",
            f"free disk space, or set HF_HOME to a writable folder (now {constants.HF_HOME})",
        )
    reason = " ".join(str(cause).split()) or type(cause).__name__
    return (
        f"the download of '{repo_id}' from {constants.ENDPOINT} failed: {reason[:200]}",
        _WORKS_OFFLINE,
    )


def _status(error: Exception) -> int | None:
    """Return the HTTP status of the Hub's answer, if there was one."""
    for link in (error, error.__cause__):
        response = getattr(link, "response", None)
        if response is not None:
            return int(response.status_code)
    return None


def _is_transport_error(error: Exception) -> bool:
    import httpx2

    return isinstance(error, httpx2.HTTPError)


class TooSlowError(OSError):
    """A server sends data too slowly to wait for."""


def limit_waits() -> None:
    """Give the Hub's shared client a time-out and a minimum speed, and no log line a request.

    Without them it waits for ever for a server that accepts a request and sends nothing, and tries
    five times, with a line each, to reach one that cannot be reached.
    """
    from huggingface_hub import get_session

    logging.getLogger("httpx2").setLevel(logging.WARNING)
    session = get_session()
    hooks = session.event_hooks
    if _cap_wait not in hooks["request"]:
        session.event_hooks = {
            "request": [*hooks["request"], _cap_wait],
            "response": [*hooks["response"], _limit_speed],
        }
        session.send = _without_retries(session.send)  # type: ignore[method-assign]


def _without_retries(send: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``send`` of a client that counts as offline while no server has ever answered it."""
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    has_answered = False

    def send_or_be_offline(request: Any, **options: Any) -> Any:
        nonlocal has_answered
        try:
            response = send(request, **options)
        except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
            if has_answered:
                raise  # a lost connection: the Hub's client tries again
            raise OfflineModeIsEnabled(str(error)) from error
        has_answered = True
        return response

    return send_or_be_offline


def _cap_wait(request: Any) -> None:
    from huggingface_hub import constants

    limit = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    limits = {"connect": min(limit, CONNECT_SECONDS), "read": limit, "write": limit, "pool": limit}
    waits = request.extensions.get("timeout", {})
    capped = {kind: min(waits.get(kind) or most, most) for kind, most in limits.items()}
    request.extensions = {**request.extensions, "timeout": capped}


def _limit_speed(response: Any) -> None:
    response.stream = _timed_stream()(response.stream)


@cache
def _timed_stream() -> type:
    """Return the class of a response body that raises an error when it comes too slowly."""
    import httpx2

    class TimedStream(httpx2.SyncByteStream):
        def __init__(self, stream: Any) -> None:
            self._stream = stream

        def __iter__(self) -> Iterator[bytes]:
            started = time.monotonic()
            count = 0
            for part in self._stream:
                count += len(part)
                waited = time.monotonic() - started
                if waited >= WINDOW_SECONDS:
                    if count < MIN_SPEED * waited:
                        raise TooSlowError(f"{count} bytes in {waited:.0f} seconds")
                    started = time.monotonic()
                    count = 0
                yield part

        def close(self) -> None:
            self._stream.close()

    return TimedStream
