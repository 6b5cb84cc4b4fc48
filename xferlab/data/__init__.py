"""Rows, labels, tokens and the order of batches."""
