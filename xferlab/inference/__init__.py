"""A finished run, used: loaded from its folder alone, asked, kept apart from training."""
