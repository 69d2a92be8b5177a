"""Benchmarks: ratios against hand-written code, measured in one process and one run."""
