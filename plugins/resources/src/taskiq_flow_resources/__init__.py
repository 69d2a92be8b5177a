"""Resources for Taskiq-Flow: pools with capacity, schedulers, limits, explanations and a simulator."""
