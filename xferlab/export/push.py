"""An export as a repository of the Hub, by the Hub's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xferlab.errors import ConfigError, RunError, XferlabError, text_of

REPOSITORY = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}")
WHERE = "--push"
HARMLESS = (".gitattributes",)
"""Files that the Hub makes itself in a new repository."""
CARD = "README.md"
MESSAGE = "Add the export of a run"


@dataclass(frozen=True)
class Destination:
    """A repository that an export goes to.

    Attributes:
        repo_id: ``ORG/NAME``.
        private: whether a new one is private; an existing one stays what it is.
        force: whether one that has files already gets a commit with this export's.
    """

    repo_id: str
    private: bool = False
    force: bool = False

    def check(self) -> None:
        """Ask the Hub who the user is and what the repository holds, before anything is written.

        Raises:
            ConfigError: no name of a repository, no valid token, no network, or one with files.
        """
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import RepositoryNotFoundError

        if not REPOSITORY.fullmatch(self.repo_id):
            what = f"{self.repo_id[:80]!r} is no name of a repository"
            raise ConfigError(what, where=WHERE, fix="--push ORG/NAME, as on the Hub's page")
        if constants.is_offline_mode():
            fix = "unset it; or export without --push"
            raise ConfigError("HF_HUB_OFFLINE is set", where=WHERE, fix=fix)
        api = HfApi(library_name="xferlab")
        with _explained(self.repo_id, ConfigError):
            api.whoami()
            try:
                files = api.list_repo_files(self.repo_id)
            except RepositoryNotFoundError:
                return
        taken = [name for name in files if name not in HARMLESS]
        if taken and not self.force:
            raise ConfigError(
                f"{self.repo_id} has {len(taken)} files already, such as {taken[0][:60]}",
                where=f"{WHERE} {self.repo_id}",
                fix="--force adds a commit with this export, the history stays; or another name",
            )

    def push(self, folder: Path) -> str:
        """Send a folder as one commit and return its address.

        Large files that an interrupted attempt has sent are not sent again.

        Raises:
            RunError: the Hub refuses, or the connection is lost.
        """
        from huggingface_hub import CommitOperationAdd, HfApi

        api = HfApi(library_name="xferlab")
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        with _explained(self.repo_id, RunError):
            api.create_repo(self.repo_id, private=self.private, exist_ok=True)
            operations = [
                CommitOperationAdd(path.relative_to(folder).as_posix(), self._content_of(path))
                for path in files
            ]
            done = api.create_commit(self.repo_id, operations, commit_message=MESSAGE)
        return str(done.commit_url)

    def _content_of(self, path: Path) -> Path | bytes:
        """Return a file, or the card with the repository's name in its example."""
        if path.name != CARD:
            return path
        text = path.read_text(encoding="utf-8")
        return text.replace('"FOLDER"', f'"{self.repo_id}"').encode()


@contextmanager
def _explained(repo_id: str, kind: type[XferlabError]) -> Iterator[None]:
    """Turn errors of the client and of the network into one of three lines."""
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    where = f"{WHERE} {repo_id}"
    again = "the same command continues: what the Hub has is not sent again"
    try:
        yield
    except LocalTokenNotFoundError as e:
        fix = "type 'hf auth login', or set HF_TOKEN to a token that may write"
        raise kind("there is no token of the Hub", where=where, fix=fix) from e
    except HfHubHTTPError as e:
        status = getattr(e.response, "status_code", None)
        if status in (401, 403):
            fix = "a token that may write to it: hf auth login, or HF_TOKEN"
            what = f"the Hub answered {status}: the token may not do that"
            raise kind(what, where=where, fix=fix) from e
        raise kind(f"the Hub answered {status}", where=where, fix=again) from e
    except (OSError, ValueError, RuntimeError) as e:
        what = f"the Hub cannot be reached: {text_of(e).splitlines()[0][:200]}"
        raise kind(what, where=where, fix=again) from e
    except Exception as e:
        if type(e).__module__.partition(".")[0] not in ("httpx", "httpx2", "httpcore", "httpcore2"):
            raise
        what = f"the connection is lost: {type(e).__name__}"
        raise kind(what, where=where, fix=again) from e
