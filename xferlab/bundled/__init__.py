"""What ships in the box: a small BERT and the demo reviews."""
