"""What runs and sweeps left, side by side: printed, as tables, as a page."""
