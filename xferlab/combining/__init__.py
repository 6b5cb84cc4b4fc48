"""Several finished runs of one task as one: outputs averaged, votes, weights averaged."""
