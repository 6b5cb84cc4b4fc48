"""What a data set is like: rows, labels, lengths, duplicates, and what simple models score."""
