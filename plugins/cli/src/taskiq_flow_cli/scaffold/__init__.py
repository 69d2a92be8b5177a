"""``taskiq flow new-plugin``: makes a distribution from a name and a kind."""
