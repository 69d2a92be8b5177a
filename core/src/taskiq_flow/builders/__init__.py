"""The builders: from annotated tasks, or from steps chained by hand, to a graph."""
