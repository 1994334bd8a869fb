"""Names from files that may be anybody's."""

from __future__ import annotations


def leads_out(name: str) -> bool:
    """Whether a relative path, with slashes between its parts, would leave the folder that it is meant for."""
    return name.startswith('/') or '..' in name.split('/') or '\0' in name
