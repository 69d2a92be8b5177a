"""Messages from a driver to a worker."""
