"""What is fitted to validation outputs, stored in the run folder, and applied to any outputs."""
