"""What a task says of itself: its annotations, its signature, its options."""
