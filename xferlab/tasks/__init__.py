"""What can be learnt from an example: one label, several, a value, a tag for each word."""
