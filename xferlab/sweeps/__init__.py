"""Sweeps: jobs planned and written to a manifest, run by an engine, shown in one table."""
