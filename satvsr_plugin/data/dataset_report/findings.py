"""What can be wrong with a data set, and how much it matters."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Severity(Enum):
    """An error keeps clips from being used, or makes results wrong; a warning is for the user to judge."""

    ERROR = 'error'
    WARNING = 'warning'


class Kind(Enum):
    """Kinds of findings, in the order in which they are shown.

    Attributes:
        code: its name in the JSON report.
        severity: what a finding of this kind means for the data set.
        title: heading of the findings of this kind.
    """

    UNREADABLE = 'unreadable', Severity.ERROR, 'cannot be opened'
    STRAY_FRAME = 'stray_frame', Severity.ERROR, 'frames outside any clip'
    EMPTY_CLIP = 'empty_clip', Severity.ERROR, 'clips without frames'
    DOUBLE_NAME = 'double_name', Severity.ERROR, 'second frames of one name'
    DAMAGED = 'damaged', Severity.ERROR, 'damaged frames'
    ODD_FORMAT = 'odd_format', Severity.ERROR, 'frames unlike their clip'
    MIXED_CHANNELS = 'mixed_channels', Severity.ERROR, 'clips differ in their number of channels'
    MISSING_CLIP = 'missing_clip', Severity.ERROR, 'clips on one side only'
    MISSING_FRAME = 'missing_frame', Severity.ERROR, 'frames on one side only'
    WRONG_SIZE = 'wrong_size', Severity.ERROR, 'sizes that do not fit the scale'
    UNLIKE_PAIR = 'unlike_pair', Severity.ERROR, 'GT and LR differ in channels or bit depth'
    MISPAIRED = 'mispaired', Severity.ERROR, 'LR frames that belong to another GT frame'
    SHARED = 'shared', Severity.ERROR, 'frames that another data set has too'
    MIXED_DEPTHS = 'mixed_depths', Severity.WARNING, 'clips differ in their bit depth'
    FROZEN = 'frozen', Severity.WARNING, 'frozen video: identical neighbouring frames'
    BLANK = 'blank', Severity.WARNING, 'blank frames: one value everywhere'
    DUPLICATE_CLIP = 'duplicate_clip', Severity.WARNING, 'clips of the same content'
    REPEATED = 'repeated', Severity.WARNING, 'identical frames in several places'
    GAP = 'gap', Severity.WARNING, 'gaps in the numbers of frames'
    MIXED_SUFFIXES = 'mixed_suffixes', Severity.WARNING, 'clips of several image formats'
    OTHER_DEGRADATION = 'other_degradation', Severity.WARNING, 'clips whose LR was made otherwise than that of most'
    IGNORED = 'ignored', Severity.WARNING, 'files and folders that are not read as frames'

    def __init__(self, code: str, severity: Severity, title: str) -> None:
        self.code = code
        self.severity = severity
        self.title = title


class Finding(NamedTuple):
    """One thing that is not as it should be.

    Attributes:
        kind: what is the matter.
        side: where: ``GT``, ``LR4x``, ``GT and LR4x``, or ``clips`` where there is one side only.
        places: the clips (``003``) or frames (``003/017.png``) concerned, in natural order.
        message: one sentence for people, which names the places.
    """

    kind: Kind
    side: str
    places: tuple[str, ...]
    message: str
