"""Which frames a window takes, by hand and by the toolbox's documented examples."""

from __future__ import annotations

import pytest

from satvsr_plugin.data.windows import window_indices, window_length

# The examples in the docstring of the toolbox's generate_frame_indices, and their mirror images at the other end.
TOOLBOX_START = {'replicate': [0, 0, 0, 1, 2], 'reflection': [2, 1, 0, 1, 2],
                 'reflection_circle': [4, 3, 0, 1, 2], 'circle': [3, 4, 0, 1, 2]}


@pytest.mark.parametrize('padding', TOOLBOX_START)
def test_toolbox_modes_at_both_ends(padding: str) -> None:
    start = TOOLBOX_START[padding]
    assert window_indices(0, 100, 5, padding) == start
    assert window_indices(99, 100, 5, padding) == [99 - index for index in reversed(start)]


@pytest.mark.parametrize(('centre', 'expected'), [
    (0, [0, 0, 0, 1, 2]), (1, [1, 0, 1, 2, 3]), (2, [0, 1, 2, 3, 4]), (5, [3, 4, 5, 6, 5]), (6, [4, 5, 6, 6, 6]),
])
def test_center_takes_the_centre_frame_for_a_missing_neighbour(centre: int, expected: list[int]) -> None:
    assert window_indices(centre, 7, 5, 'center') == expected


@pytest.mark.parametrize('padding', ['center', *TOOLBOX_START])
def test_inside_a_clip_the_modes_agree(padding: str) -> None:
    assert window_indices(50, 100, 7, padding) == [47, 48, 49, 50, 51, 52, 53]
    assert window_indices(50, 100, 3, padding, interval=4) == [46, 50, 54]


@pytest.mark.parametrize(('padding', 'expected'), [
    ('center', [3, 1, 3, 5, 7]), ('replicate', [1, 1, 3, 5, 7]), ('reflection', [3, 1, 3, 5, 7]),
    ('reflection_circle', [9, 1, 3, 5, 7]), ('circle', [9, 1, 3, 5, 7]),
])
def test_interval_skips_frames_and_keeps_their_phase(padding: str, expected: list[int]) -> None:
    assert window_indices(3, 10, 5, padding, interval=2) == expected


@pytest.mark.parametrize('padding', ['center', *TOOLBOX_START])
def test_clips_of_any_length_give_frames_that_exist(padding: str) -> None:
    for length in range(1, 12):
        for interval in (1, 2, 3):
            for centre in range(length):
                window = window_indices(centre, length, 5, padding, interval)
                assert window[2] == centre and len(window) == 5
                assert all(0 <= index < length and (index - centre) % interval == 0 for index in window)


def test_window_length() -> None:
    assert window_length(5) == 5
    assert window_length(5, interval=3) == 13
