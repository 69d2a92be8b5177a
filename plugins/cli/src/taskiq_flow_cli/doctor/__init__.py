"""What ``taskiq flow doctor`` looks at, and how it tells of it."""
