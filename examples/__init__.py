"""Examples of Taskiq-Flow; run them from the root of the project."""
