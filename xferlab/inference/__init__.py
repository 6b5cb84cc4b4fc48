"""A finished run, loaded from its folder alone: predictions and evaluations."""
