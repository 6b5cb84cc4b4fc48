"""One run: its inputs prepared, trained and recorded; the LR range test."""
