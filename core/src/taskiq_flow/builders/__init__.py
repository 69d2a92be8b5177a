"""The builders make a graph of annotated tasks, or of steps that were chained by hand."""
