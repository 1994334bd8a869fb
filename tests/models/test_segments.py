"""Clips cut into segments: every frame once, with its neighbours, and never more frames than allowed."""

from __future__ import annotations

import pytest
import torch

from satvsr_plugin.models.segments import Segment, affordable_frames, cut, free_memory, is_out_of_memory


def test_a_clip_that_fits_stays_whole():
    assert list(cut('a', 7, 7, 5)) == [Segment('a', 0, 7, 0, 7)]


def test_a_long_clip_is_cut_with_overlap():
    assert list(cut('a', 10, 6, 1)) == [Segment('a', 0, 5, 0, 4), Segment('a', 3, 9, 4, 8), Segment('a', 7, 10, 8, 10)]


@pytest.mark.parametrize('length', [1, 11, 12, 13, 100])
@pytest.mark.parametrize('longest, overlap', [(3, 1), (11, 5), (30, 5), (1, 0)])
def test_every_frame_is_kept_once_and_segments_are_bounded(length, longest, overlap):
    segments = list(cut('a', length, longest, overlap))
    assert [frame for s in segments for frame in range(s.first, s.last)] == list(range(length))
    for s in segments:
        assert s.stop - s.start <= longest
        assert s.start == max(0, s.first - overlap) or len(segments) == 1
        assert s.stop == min(length, s.last + overlap) or len(segments) == 1


def test_memory_decides_how_many_frames(monkeypatch):
    cpu = torch.device('cpu')
    monkeypatch.setattr('satvsr_plugin.models.segments.free_memory', lambda device: 10**9)
    frames = affordable_frames(160, 160, 4, cpu)
    assert frames == 10  # half of it, 49 MB a frame
    assert affordable_frames(320, 160, 4, cpu) == frames // 2
    assert affordable_frames(10**5, 10**5, 4, cpu) == 1


def test_free_memory_is_measured():
    assert 10**7 < free_memory(torch.device('cpu')) < 2**62


def test_what_running_out_of_memory_looks_like():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(torch.OutOfMemoryError('CUDA out of memory'))
    assert not is_out_of_memory(RuntimeError('shapes differ'))
