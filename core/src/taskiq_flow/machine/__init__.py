"""The machine: the pure core that folds the events of a run into its state."""
