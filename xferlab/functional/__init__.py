"""Parts that plugins are made of: what losses, metrics, schedules and optimizers share."""
