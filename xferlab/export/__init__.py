"""Finished runs in the formats of others, each compared with the run before it is kept."""
