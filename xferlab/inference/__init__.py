"""Finished runs, loaded from their folders alone: predictions and evaluations."""
