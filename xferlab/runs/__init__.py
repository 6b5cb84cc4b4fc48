"""Run folders: metadata and status, checkpoints, locks, how a run is resumed."""
