"""The scores that figures print: PSNR and SSIM of whole frames, from the records of the tests."""

from __future__ import annotations

from satvsr_plugin.test_record import TestRecord


def psnr_of(record: TestRecord) -> str | None:
    """The name of the first metric that is a PSNR; None where the test has none."""
    return _first(record, 'psnr')


def frame_scores(record: TestRecord, clip: str, frame: str) -> str:
    """PSNR and SSIM of one frame, as papers print them; empty where the test has neither."""
    number = record.clips[clip].frames.index(frame)
    scores = record.clips[clip].scores
    psnr, ssim = psnr_of(record), _first(record, 'ssim')
    parts = [f'{scores[psnr][number]:.2f} dB'] if psnr in scores else []
    parts += [f'{scores[ssim][number]:.4f}'] if ssim in scores else []
    return ' / '.join(parts)


def plane_of(record: TestRecord) -> str:
    """What the PSNR was taken of: ``Y``, ``RGB``, or nothing where the test does not say."""
    psnr = psnr_of(record)
    return str(record.metrics[psnr].get('color', '')).upper() if psnr else ''


def _first(record: TestRecord, kind: str) -> str | None:
    named = (name for name, options in record.metrics.items() if kind in str(options.get('type', name)).lower())
    return next(named, None)
