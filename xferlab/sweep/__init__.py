"""Sweeps: jobs planned before the first starts, run locally or remotely, shown in one table."""
