"""Searches: trials sampled by Optuna, monitored and pruned."""
