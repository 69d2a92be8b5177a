"""Where a plugin comes from."""

from __future__ import annotations

from attrs import frozen

__all__ = ["PluginOrigin"]


@frozen
class PluginOrigin:
    """The distribution that brought a plugin, or the fact that it was given in code.

    :param distribution: Its name; empty for a plugin that was given in code.
    :param version: Its version.
    :param target: What was loaded, as the entry point says it.
    """

    distribution: str
    version: str
    target: str

    @property
    def release(self) -> str:
        """The distribution and its version, or what was given in code."""
        if not self.distribution:
            return f"{self.target!r} given in code"
        return f"{self.distribution} {self.version}"

    def __str__(self) -> str:
        return (
            f"{self.distribution or 'given in code'}{' ' * bool(self.version)}{self.version} ({self.target})"
        )
