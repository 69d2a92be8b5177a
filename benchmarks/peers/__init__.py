"""Ours beside what people would pick instead, each in an environment and a process of its own.

``roster`` lists the sides, ``programs`` does the work of each, ``protocol`` is what a program speaks, ``conversation``
is the other end of it, and ``comparison`` lets the programs take turns and makes the table.
"""
