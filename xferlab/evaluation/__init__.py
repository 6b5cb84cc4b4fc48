"""Evaluation of a split's outputs: intervals, scores by class, calibration, errors, figures."""
