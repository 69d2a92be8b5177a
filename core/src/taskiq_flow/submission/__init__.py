"""What happens between a user's call and the first event of a run."""
