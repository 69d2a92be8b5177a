"""What ``taskiq flow new-plugin`` does: a distribution from a name and a kind."""
