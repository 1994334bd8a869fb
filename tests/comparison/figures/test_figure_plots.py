"""What the plots draw: lines, points, labels, and their drawings for the page."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from comparison.figures.drawn_systems import make_systems, score
from matplotlib.transforms import Bbox

from satvsr_plugin.comparison.cost import Cost
from satvsr_plugin.comparison.figures.cost_plots import Point, parameter_points, plot_cost, time_points
from satvsr_plugin.comparison.figures.frame_plots import plot_frames
from satvsr_plugin.comparison.figures.palette import styles
from satvsr_plugin.comparison.figures.plots import GRID, INK, as_svg, look


def cost(parameters: int, milliseconds: float | None = None) -> Cost:
    return Cost(parameters, parameters, 0, None, milliseconds, None, (160, 160), 'a machine')


def test_a_panel_a_clip_and_a_line_a_system(tmp_path: Path) -> None:
    systems = make_systems(tmp_path, {'Bicubic': None, '_Net': None}, clips=[f'{i:03d}' for i in range(13)])
    style = styles(['Bicubic', '_Net'])
    with look():
        figure = plot_frames(systems, style)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [f'clip {i:03d}' for i in range(12)]
    for place, line in enumerate(panels[5].lines):
        assert list(line.get_xdata()) == [0, 1, 2]
        assert list(line.get_ydata()) == [score(place, '005', frame)[0] for frame in ('00', '01', '02')]
        assert line.get_color() == list(style.values())[place].colour
    # matplotlib's own legends leave out names that begin with an underscore
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ['Bicubic', '_Net']


def test_points_are_those_of_systems_whose_cost_is_known() -> None:
    costs = {'Bicubic': cost(0, 2.0), 'Net': cost(1_500_000, 40.0), 'Slow': cost(3_000_000)}
    psnr = {'Bicubic': 30.0, 'Net': 31.0, 'Slow': 32.0, 'Unknown': 33.0}
    assert parameter_points(costs, psnr) == [Point('Bicubic', 0, 30.0), Point('Net', 1.5, 31.0), Point('Slow', 3, 32.0)]
    assert time_points(costs, psnr) == [Point('Bicubic', 2.0, 30.0), Point('Net', 40.0, 31.0)]


def test_what_has_no_parameters_is_a_line_across(tmp_path: Path) -> None:
    points = [Point('Bicubic', 0, 30.0), Point('Net', 1.5, 31.0)]
    style = styles(['Bicubic', 'Net'])
    with look():
        figure = plot_cost(points, [Point('Net', 40.0, 31.0)], 'ms', style)
    left, right = figure.axes
    assert (left.get_xscale(), right.get_xscale()) == ('log', 'log')
    line, marker = left.lines
    assert (list(line.get_ydata()), line.get_color()) == ([30.0, 30.0], style['Bicubic'].colour)
    assert line.get_transform() == left.get_yaxis_transform()  # from edge to edge
    assert (list(marker.get_xdata()), list(marker.get_ydata())) == ([1.5], [31.0])
    assert [text.get_text() for text in left.texts] == ['Bicubic (none)', 'Net']
    assert [text.get_text() for text in right.texts] == ['Net']


def test_without_times_there_is_one_panel() -> None:
    with look():
        assert len(plot_cost([Point('Net', 1.5, 31.0)], [], 'ms', styles(['Net'])).axes) == 1


def test_labels_of_crowded_points_do_not_cover_each_other() -> None:
    names = [f'System {i}' for i in range(10)]
    points = [Point(name, 5 * 1.04**i, 31 + 0.05 * (i % 3)) for i, name in enumerate(names)]
    points += [Point('far', 0.1, 33), Point('fast', 100, 29)]
    with look():
        figure = plot_cost(points, [], 'ms', styles([point.name for point in points]))
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 12
    assert not [pair for pair in combinations(boxes, 2) if Bbox.intersection(*pair) is not None
                and Bbox.intersection(*pair).width * Bbox.intersection(*pair).height > 0]
    panel = figure.axes[0].bbox
    assert all(panel.x0 <= box.x0 and box.x1 <= panel.x1 for box in boxes)


@pytest.mark.parametrize('name', ['<script>alert(1)</script>', '$x^2$', 'a & b "c"', '_hidden', 'Größe ω'])
def test_a_drawing_for_the_page_takes_its_colours_and_shows_names_as_they_are(name: str) -> None:
    with look():
        figure = plot_cost([Point(name, 1.5, 31.0), Point('Net', 3, 32.0)], [], 'ms', styles([name, 'Net']))
        text = as_svg(figure, 'cost')
    root = ElementTree.fromstring(text)  # well-formed
    assert root.tag == '{http://www.w3.org/2000/svg}svg'
    assert name in [element.text for element in root.iter('{http://www.w3.org/2000/svg}text')]
    assert 'currentColor' in text and 'var(--line' in text
    assert INK not in text and GRID not in text
    ids = [element.get('id') for element in root.iter() if element.get('id')]
    assert ids and all(found.startswith('cost-') for found in ids)
    assert len(ids) == len(set(ids))
    uses = [value for element in root.iter() for key, value in element.attrib.items() if key.endswith('href')]
    assert uses and all(value.removeprefix('#') in ids for value in uses)


def test_a_very_long_name_leaves_the_panels_room() -> None:
    name = 'n' * 300
    with look():
        figure = plot_cost([Point(name, 1.5, 31.0), Point('Net', 3, 32.0)], [], 'ms', styles([name, 'Net']))
    assert figure.axes[0].texts[0].get_text() == 'n' * 47 + '…'
    assert figure.axes[0].bbox.width > 400


def test_styles_differ_and_stay() -> None:
    names = [f's{i}' for i in range(24)]
    style = styles(names)
    assert len({(one.colour, one.dash) for one in style.values()}) == 24
    assert styles(names[:3]) == {name: style[name] for name in names[:3]}
    assert style['s0'].rgb == (0, 0x72, 0xB2)
