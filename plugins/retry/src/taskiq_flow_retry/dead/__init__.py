"""The dead-letter list: failures that get no further attempt, to be replayed or discarded."""
