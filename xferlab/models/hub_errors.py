"""Errors of the Hugging Face Hub, for checkpoints and data sets alike."""

from __future__ import annotations

from dataclasses import dataclass

from xferlab.errors import ConfigError


@dataclass(frozen=True)
class RepositoryKind:
    """A kind of repository of the Hub.

    Attributes:
        name: in an error.
        page: the address of a repository's page, without its id.
        example: an id.
    """

    name: str
    page: str
    example: str


CHECKPOINT = RepositoryKind(
    "checkpoint", "https://huggingface.co/", "google-bert/bert-base-uncased"
)
DATASET = RepositoryKind("dataset", "https://huggingface.co/datasets/", "nyu-mll/glue")


def gated(kind: RepositoryKind, repo_id: str, where: str) -> ConfigError:
    """Return the error for a repository whose terms the user has not accepted."""
    return ConfigError(
        f"'{repo_id}' is gated: the Hub gives it to those who accepted its terms",
        where=where,
        fix=f"accept them at {kind.page}{repo_id}, then type 'hf auth login'",
    )


def unknown_revision(repo_id: str, revision: str, where: str) -> ConfigError:
    """Return the error for a revision that a repository does not have."""
    return ConfigError(
        f"'{repo_id}' has no revision '{revision}'",
        where=where,
        fix="name a branch, a tag or a commit of it, or no revision for the newest",
    )


def unknown_repository(kind: RepositoryKind, repo_id: str, where: str) -> ConfigError:
    """Return the error for a repository that the Hub does not have, or does not show."""
    return ConfigError(
        f"the Hub has no {kind.name} '{repo_id}', or it is private",
        where=where,
        fix=f"type ORG/NAME as on the Hub's page, like {kind.example}; "
        "for a private one type 'hf auth login'; for a folder start with ./",
    )
