"""A task's description: its annotations, its signature, its options."""
