"""Submission: the steps between a user's call and the first event of a run."""
