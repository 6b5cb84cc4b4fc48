"""Exports of finished runs, each compared with the run before it is kept."""
