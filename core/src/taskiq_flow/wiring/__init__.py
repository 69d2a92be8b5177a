"""The places of a dataflow before it is compiled, and the data that goes to each."""
