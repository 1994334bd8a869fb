"""The report of a check as text for people."""

from __future__ import annotations

from itertools import groupby

from satvsr_plugin.data.dataset_report.deviation import BORDER, Deviation
from satvsr_plugin.data.dataset_report.findings import Finding, Severity
from satvsr_plugin.data.dataset_report.pair_judge import Degradation
from satvsr_plugin.data.dataset_report.report import Report, SideSummary
from satvsr_plugin.data.problems import SHOWN
from satvsr_plugin.disk import format_size

WORST = 3


def render_text(report: Report) -> str:
    """The report in lines; of each kind of finding the first ten, the others counted."""
    lines = [line for side in report.sides for line in _side(side)]
    if report.scale:
        lines.append(f'scale: {report.scale}')
    if report.degradation:
        lines += _degradation(report.degradation)
    if report.unused:
        lines.append(f'not looked at: {", ".join(report.unused)}; name them with --gt and --lq')
    if report.against:
        lines.append(f'compared with: {", ".join(map(str, report.against))}')
    for kind, findings in groupby(report.findings, lambda finding: finding.kind):
        lines += _findings(f'{kind.severity.value}: {kind.title}', list(findings))
    return '\n'.join([*lines, _conclusion(report)])


def _side(side: SideSummary) -> list[str]:
    lines = [f'{side.side}: {side.root}',
             f'  {_count(side.clips, "clip")}, {_count(side.frames, "frame")}, {format_size(side.size)}']
    if side.clips:
        length = (str(side.shortest) if side.shortest == side.longest else
                  f'{side.shortest} to {side.longest}, most often {side.usual_length}')
        lines.append(f'  frames a clip: {length}')
    lines += [f'  {form}: {_count(clips, "clip")}' for form, clips in side.formats.items()]
    return lines


def _degradation(degradation: Degradation) -> list[str]:
    summary = degradation.summary
    pairs = _count(summary.frames, 'pair')
    if degradation.making == 'exact':
        return [f'degradation: LR equals our degradation of GT bit for bit ({pairs})']
    if degradation.making == 'borders':
        lines = [f'degradation: LR differs from ours at the borders only (the {BORDER} outermost pixels: GT was '
                 f'mirrored there, as by newer MATLAB, where we repeat its outermost pixels): {pairs}']
    else:
        lines = [f'degradation: LR was made otherwise than ours ({pairs})']
    worst = sorted((clip for clip, deviation in degradation.clips.items() if deviation.differing),
                   key=lambda clip: -degradation.clips[clip].squares / degradation.clips[clip].samples)
    lines.append(f'  all: {_deviation(summary)}')
    if len(degradation.clips) > 1:
        lines += [f'  clip {clip}: {_deviation(degradation.clips[clip])}' for clip in worst[:WORST]]
    return lines


def _deviation(deviation: Deviation) -> str:
    if not deviation.differing:
        return 'equal'
    return (f'{deviation.share:.2%} of the samples differ, by {deviation.mean:.3g} grey levels in the mean over all '
            f'samples and {deviation.largest} at most; PSNR {deviation.psnr:.2f} dB')


def _findings(heading: str, findings: list[Finding]) -> list[str]:
    lines = [f'{heading} ({len(findings)})']
    lines += [f'  - {finding.side}: {finding.message}' for finding in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f'  - ... and {len(findings) - SHOWN} more (all are in the file of --json)')
    return lines


def _conclusion(report: Report) -> str:
    counts = {severity: sum(finding.kind.severity is severity for finding in report.findings) for severity in Severity}
    found = ', '.join(_count(count, severity.value) for severity, count in counts.items() if count)
    frames = sum(side.frames for side in report.sides)
    speed = f'{_count(frames, "frame")} in {report.seconds:.1f} s'
    return f'{"in order" if report.in_order else "NOT in order"}{f": {found}" if found else ""} ({speed})'


def _count(number: int, what: str) -> str:
    return f'{number:,} {what}{"" if number == 1 else "s"}'
