"""What travels from a driver to a worker."""
