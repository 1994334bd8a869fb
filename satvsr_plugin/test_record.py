"""What a test leaves beside its table of scores: all that a comparison has to know, in one JSON file.

``basicsr test`` writes ``results/<name>/test_<dataset>.json``. It says which network with which weights saw which
frames, how they were scored, and the score of every frame, so that unlike tests are told apart instead of averaged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from satvsr_plugin.atomic import written_beside
from satvsr_plugin.errors import DataError
from satvsr_plugin.paths import leads_out

PREFIX = 'test_'


class _Part(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class DatasetRecord(_Part):
    """The clips that were tested on."""

    name: str
    backend: Literal['disk', 'lmdb']
    lq: str = Field(description='absolute path of the LR clips')
    gt: str | None = Field(description='absolute path of the GT clips')


class WeightsRecord(_Part):
    """The file that the weights came from."""

    path: str = Field(description='absolute')
    param_key: str
    crc32: int = Field(description='of the whole file')


class ClipRecord(_Part):
    """One clip: a list entry a scored frame, in order."""

    height: int = Field(description='of the result')
    width: int
    bands: int
    bit_depth: int
    frames: list[str] = Field(min_length=1, description='names without suffix')
    lq_crc32: list[int] = Field(description='of the LR frame, as integers of its bit depth')
    gt_crc32: list[int] = Field(description='of GT likewise; empty without GT')
    scores: dict[str, list[float]] = Field(description='metric: values; empty without GT')

    @model_validator(mode='after')
    def _complete(self) -> ClipRecord:
        columns: list[Sequence[float]] = [self.lq_crc32, *self.scores.values()]
        if self.gt_crc32:
            columns.append(self.gt_crc32)
        if any(len(column) != len(self.frames) for column in columns):
            raise ValueError('its columns differ in length')
        return self

    def mean(self, metric: str) -> float:
        """Mean over the clip's frames, as the published protocol has it."""
        values = self.scores[metric]
        return sum(values) / len(values)


class TestRecord(_Part):
    """A whole test."""

    __test__ = False  # not a test of pytest's

    format: Literal[1] = 1
    name: str = Field(description='of the experiment')
    scale: int
    network: dict[str, Any] = Field(description='network_g of the option file: type and arguments')
    weights: WeightsRecord | None
    dataset: DatasetRecord
    settings: dict[str, Any] = Field(description='further options that change what the network is shown')
    metrics: dict[str, dict[str, Any]] = Field(description='name: type and all arguments, defaults filled in')
    pictures: str | None = Field(description='pattern of the pictures saved, relative to the folder of the record, '
                                 'with {clip} and {frame}; None where none were saved')
    clips: dict[str, ClipRecord] = Field(min_length=1)
    finished: str = Field(description='date and time, ISO 8601')
    device: str = Field(description='what the network ran on')
    versions: dict[str, str] = Field(description='package: version')

    @model_validator(mode='after')
    def _names_its_own_pictures(self) -> TestRecord:
        """Results may be anybody's, and the pictures that they name go into a page that is passed on."""
        used = set() if self.pictures is None else {part[1:] for part in Formatter().parse(self.pictures)}
        if not used <= {('clip', '', None), ('frame', '', None), (None, None, None)}:
            raise ValueError('its pattern of pictures has more than {clip} and {frame}')
        names = [f'{clip}/{frame}' for clip, found in self.clips.items() for frame in found.frames]
        if any(map(leads_out, [self.pictures or '', *names])):
            raise ValueError('it names pictures out of its folder')
        return self

    def average(self, metric: str) -> float:
        """Mean over clips of the clips' means: every clip counts the same."""
        return sum(clip.mean(metric) for clip in self.clips.values()) / len(self.clips)

    def picture(self, folder: Path, clip: str, frame: str) -> Path | None:
        """The picture of one frame, in the results in ``folder``; None where none were saved."""
        return folder / self.pictures.format(clip=clip, frame=frame) if self.pictures else None


def record_path(folder: str | Path, dataset: str) -> Path:
    """Where the record of a test on a data set lies."""
    return Path(folder, f'{PREFIX}{dataset}.json')


def recorded_datasets(folder: str | Path) -> list[str]:
    """The names of the data sets that a result folder has records of."""
    return sorted(path.stem.removeprefix(PREFIX) for path in Path(folder).glob(f'{PREFIX}*.json'))


def write_record(folder: str | Path, record: TestRecord) -> None:
    """Write a record; never half.

    Raises:
        DataError: the file cannot be written.
    """
    path = record_path(folder, record.dataset.name)
    try:
        with written_beside(path) as partial:
            partial.write_text(json.dumps(record.model_dump(), indent=1, allow_nan=True), encoding='utf-8')
    except OSError as error:
        raise DataError(f'{path}: cannot write: {error.strerror}') from error


def read_record(path: Path) -> TestRecord:
    """Read a record.

    Raises:
        DataError: the file is missing, damaged, or of another version of this plugin.
    """
    try:
        return TestRecord.model_validate(json.loads(path.read_text(encoding='utf-8')))
    except OSError as error:
        raise DataError(f'{path}: cannot read: {error.strerror}; run basicsr test') from error
    except ValidationError as error:
        first = error.errors()[0]
        where = '.'.join(map(str, first['loc'])) or 'the file'
        raise DataError(f'{path}: is no test record of this version ({where}: {first["msg"]}); test again') from error
    except (ValueError, RecursionError) as error:  # not UTF-8, or not JSON
        raise DataError(f'{path}: is damaged ({error}); test again') from error
