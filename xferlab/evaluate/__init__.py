"""``python -m xferlab evaluate``: a finished run on any rows: scores, and what is behind."""
