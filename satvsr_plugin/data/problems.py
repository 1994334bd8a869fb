"""Several faults of a data set told in one message."""

from __future__ import annotations

from collections.abc import Sequence

from satvsr_plugin.errors import DataError

SHOWN = 10


def raise_problems(heading: str, problems: Sequence[str]) -> None:
    """Raise one error for all ``problems``; do nothing when there are none.

    Args:
        heading: what the problems have in common, e.g. the folder that they were found in.
        problems: one line each; the first ten are shown, the others counted.

    Raises:
        DataError: there is at least one problem.
    """
    if not problems:
        return
    lines = [f'{heading}: {len(problems)} problem{"s" if len(problems) > 1 else ""}']
    lines += [f'  - {problem}' for problem in problems[:SHOWN]]
    if len(problems) > SHOWN:
        lines.append(f'  - ... and {len(problems) - SHOWN} more')
    raise DataError('\n'.join(lines))
