"""Long videos as streams of frames: video files, image sequences, multi-page TIFF and GeoTIFF.

Frames come one at a time, so that a video of any length fits in memory. Nothing here knows what the frames are for.
"""

from __future__ import annotations

from satvsr_plugin.data.video.opening import VIDEO_SUFFIXES, open_videos
from satvsr_plugin.data.video.source import Bands, Frame, Video

__all__ = ['VIDEO_SUFFIXES', 'Bands', 'Frame', 'Video', 'open_videos']
