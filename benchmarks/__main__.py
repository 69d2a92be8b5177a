"""``python -m benchmarks`` is ``python benchmarks/run.py``."""

from __future__ import annotations

from benchmarks.run import main

main()
