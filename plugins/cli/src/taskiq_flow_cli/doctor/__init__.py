"""``taskiq flow doctor``: examinations and their findings."""
