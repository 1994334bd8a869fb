"""Super-resolution of users' own videos: frames in, frames out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from satvsr_plugin.inference.upscaler import VideoUpscaler

__all__ = ['VideoUpscaler']


def __getattr__(name: str) -> Any:
    if name == 'VideoUpscaler':  # here, since it loads torch and the networks, which reading and writing need not
        from satvsr_plugin.inference.upscaler import VideoUpscaler

        return VideoUpscaler
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
