"""The driver of a pool: the only part of a run that awaits."""
