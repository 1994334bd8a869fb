"""What networks see of a stream: the right frames, and no more of them in memory than that."""

from __future__ import annotations

from itertools import count, islice
from typing import get_args

import pytest

from satvsr_plugin.data.windows import Padding, window_indices
from satvsr_plugin.errors import DataError
from satvsr_plugin.inference.windows import FrameBuffer, segment_reach, segments, window_reach, windows

WITHOUT_END = 10**9


@pytest.mark.parametrize('padding', get_args(Padding))
@pytest.mark.parametrize('num_frame', [1, 3, 7])
@pytest.mark.parametrize('length', [1, 2, 5, 9, 20])
def test_windows_are_those_of_the_data_set(padding, num_frame, length):
    """Whether the length is known or not, from the start or in a part."""
    expected = [window_indices(centre, length, num_frame, padding) for centre in range(length)]
    reach = window_reach(num_frame, padding)
    for known in (length, None):
        for first, stop in ((0, WITHOUT_END), (0, 1), (1, 3), (length - 1, length), (length // 2, length)):
            offset = max(0, first - reach)
            source = iter(range(offset, min(length, stop + reach)))
            groups = list(windows(FrameBuffer(source, offset, known), first, stop, num_frame, padding))
            assert [group.numbers for group in groups] == expected[first:stop]
            assert all(group.frames == group.numbers for group in groups)
            assert [group.results for group in groups] == [[n] for n in range(length)[first:stop]]


@pytest.mark.parametrize('length', [1, 7, 8, 9, 25])
def test_segments_of_a_part_are_those_of_the_whole(length):
    def run(first, stop, known):
        offset = max(0, first - segment_reach(8, 2))
        source = iter(range(offset, min(length, stop + segment_reach(8, 2))))
        return list(segments(FrameBuffer(source, offset, known), first, stop, 8, 2))

    whole = {number: group.numbers for group in run(0, WITHOUT_END, None) for number in group.results}
    assert list(whole) == list(range(length))
    for number, seen in whole.items():
        assert len(seen) <= 8 and set(range(max(0, number - 2), min(length, number + 3))) <= set(seen)
    for known in (length, None):
        for first in range(length):
            for stop in range(first + 1, length + 1):
                part = run(first, stop, known)
                assert {n: group.numbers for group in part for n in group.results} == {
                    n: whole[n] for n in range(first, stop)}
                assert all(group.frames == group.numbers for group in part)


@pytest.mark.parametrize('cut, held', [
    (lambda buffer: windows(buffer, 0, WITHOUT_END, 5, 'center'), 5),
    (lambda buffer: windows(buffer, 0, WITHOUT_END, 5, 'circle'), 9),
    (lambda buffer: segments(buffer, 0, WITHOUT_END, 12, 3), 12)])
def test_a_video_without_end_takes_no_more_than_a_window_or_a_segment(cut, held):
    buffer = FrameBuffer(count())
    most = max(len(buffer) for _ in islice(cut(buffer), 1000))
    assert most == held


def test_frames_before_those_that_are_needed_are_not_kept():
    buffer = FrameBuffer(iter(range(100)))
    group = next(windows(buffer, 50, 51, 3, 'center'))
    assert group.numbers == [49, 50, 51] and len(buffer) == 3


def test_a_video_that_ends_too_early_is_damaged():
    with pytest.raises(DataError, match='ends after 4 frames, but 6 were announced'):
        list(windows(FrameBuffer(range(4), 0, 6), 0, WITHOUT_END, 3, 'center'))
