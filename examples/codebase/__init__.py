"""A pipeline that analyses a tree of Python source files and writes one report.

The functions stand in plain modules that know nothing of taskiq (``listing``, ``analysis``, ``aggregate``,
``cycles``, ``report``, …); ``pipeline`` makes tasks of them and joins them by the names of their parameters.
"""
