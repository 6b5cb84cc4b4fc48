"""Functions that plugins share: losses, metrics, schedules, optimizers, BIO tags."""
