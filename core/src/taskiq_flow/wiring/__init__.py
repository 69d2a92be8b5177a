"""Which data goes where: the places of a graph before it is compiled."""
