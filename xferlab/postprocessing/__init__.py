"""What is fitted to a run's validation outputs, kept in its folder, and applied to any outputs."""
