"""A plugin of each group, small and complete, from which ``new`` writes one of the user's."""
