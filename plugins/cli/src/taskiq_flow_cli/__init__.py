"""The command line of Taskiq-Flow."""
