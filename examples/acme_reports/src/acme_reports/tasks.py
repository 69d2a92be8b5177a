"""The tasks. They know no broker: the application that discovers them has one."""

from __future__ import annotations

from taskiq import async_shared_broker

from taskiq_flow import pipeline_task

__all__ = ["count_words", "longest_words", "split_words", "write_report"]


@pipeline_task(output="words", description="Split a text into words.")
def split_words(processed: str) -> list[str]:
    """Split a text at white space."""
    return processed.split()


@pipeline_task(output="counts")
async def count_words(words: list[str]) -> dict[str, int]:
    """Count how often each word occurs."""
    return {word: words.count(word) for word in dict.fromkeys(words)}


# A task that wants options of taskiq is a shared one.
@async_shared_broker.task(timeout=10)
@pipeline_task(output="longest")
def longest_words(words: list[str], limit: int = 3) -> list[str]:
    """Find the longest words."""
    return sorted(set(words), key=lambda word: (-len(word), word))[:limit]


@pipeline_task(output="report")
def write_report(counts: dict[str, int], title: str = "Report") -> str:
    """Write a report."""
    most = max(counts, key=lambda word: counts[word])
    return f"{title}: {sum(counts.values())} words, most often {most!r}"
