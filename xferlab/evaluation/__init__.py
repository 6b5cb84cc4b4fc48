"""What a split's outputs say about a model: intervals, classes, calibration, mistakes, pictures."""
