"""Sweeps: which jobs, frozen before the first starts, run in processes, told in one table."""
