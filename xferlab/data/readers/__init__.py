"""Readers of CSV, TSV, JSON, Parquet and text files: one stream of examples."""
