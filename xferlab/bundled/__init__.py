"""What ships with the package: a small BERT and the demo reviews."""
