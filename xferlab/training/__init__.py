"""One run's live objects, the one compile and fit, and who listens to it."""
