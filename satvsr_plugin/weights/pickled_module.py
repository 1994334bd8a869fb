"""Networks that were saved whole, ``torch.save(network)``, as TDAN's authors did: their weights, and no code.

Both layouts of torch are read: the one up to 1.5 (in one file after another: a magic number, a version, the sizes of
C's numbers, the pickle, the keys of the storages, the storages) and the archive since then (``data.pkl`` and
``data/<key>`` in a zip file). The facts are those of ``torch/serialization.py``.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.inert import InertUnpickler, SavedStorage
from satvsr_plugin.weights.pickle_screen import next_pickle
from satvsr_plugin.weights.saved_state import Storages, state_dict_of

MAGIC_NUMBER = 0x1950a86a20f9469cfc6c
PROTOCOL_VERSION = 1001
LEGACY_START = pickle.dumps(MAGIC_NUMBER, protocol=2)
ZIP_START = b'PK\x03\x04'
OTHER_ORDER = 'written on a machine with another order of bytes; save it again on a common one'


def is_pickled(path: str | Path) -> bool:
    """Whether a file is there and begins as torch's own do, in either layout."""
    try:
        with open(path, 'rb') as file:
            start = file.read(len(LEGACY_START))
    except OSError:
        return False
    return start == LEGACY_START or start.startswith(ZIP_START)


def load_pickled_module(path: str | Path) -> dict[str, Tensor]:
    """Read the state dict of a network that was saved whole, without running code or importing its classes.

    Args:
        path: what ``torch.save(network, path)`` has written, with any torch from 0.2 on.

    Returns:
        The state dict as the network itself would give it, on the CPU.

    Raises:
        WeightsError: the file is missing, damaged, holds no network, or asks for anything that a network of
            ``torch.nn`` and of TDAN's code does not need.
    """
    try:
        # From memory, since reading from a file allots whatever length is asked for, and here the bytes ask.
        content = Path(path).read_bytes()
        root, storages = (_read_zip if content.startswith(ZIP_START) else _read_legacy)(BytesIO(content), len(content))
        return state_dict_of(root, storages)
    except FileNotFoundError as error:
        raise WeightsError(f'{path}: no such file') from error
    except WeightsError as error:
        raise WeightsError(f'{path}: {error}') from error
    except Exception as error:  # damaged bytes make a parser fail in almost any way
        raise WeightsError(f'{path}: damaged, or not a network that torch has saved '
                           f'({type(error).__name__}: {error})') from error


def _read_legacy(stream: BytesIO, size: int) -> tuple[Any, Storages]:
    magic, version, system = (InertUnpickler(next_pickle(stream)).load() for _ in range(3))
    if (magic, version) != (MAGIC_NUMBER, PROTOCOL_VERSION):
        raise WeightsError('not a file of torch.save')
    if system.get('little_endian') is not True:
        raise WeightsError(OTHER_ORDER)
    unpickler = InertUnpickler(next_pickle(stream))
    root = unpickler.load()
    keys = InertUnpickler(next_pickle(stream)).load()
    if sorted(keys) != sorted(unpickler.storages):
        raise WeightsError('damaged: its list of storages is not that of its tensors')
    storages = {}
    for key in keys:
        saved = unpickler.storages[key]
        if int.from_bytes(stream.read(8), 'little') != saved.numel:
            raise WeightsError(f'damaged: the storage {key:.20} has another length than its tensors say')
        storages[key] = _numbers(saved, size - stream.tell(), stream.read)
    return root, storages


def _read_zip(stream: BytesIO, size: int) -> tuple[Any, Storages]:
    with zipfile.ZipFile(stream) as archive:
        # Torch puts everything into one folder, called as the file was.
        members = {info.filename.partition('/')[2]: info for info in archive.infolist()}

        def read(name: str) -> bytes:
            info = members.get(name)
            if info is None:
                raise WeightsError(f'damaged, or not a file of torch.save: its {name:.30} is missing')
            if info.compress_type != zipfile.ZIP_STORED or info.file_size > size:
                raise WeightsError(f'damaged: its {name:.30} is compressed, or longer than the file')
            return archive.read(info)

        def read_storage(key: str, _length: int) -> bytes:
            return read(f'data/{key}')

        if 'byteorder' in members and read('byteorder') != b'little':
            raise WeightsError(OTHER_ORDER)
        unpickler = InertUnpickler(next_pickle(BytesIO(read('data.pkl'))))
        root = unpickler.load()
        storages, left = {}, size  # members may overlap, but all together not hold more than the file
        for key, saved in unpickler.storages.items():
            storages[key] = _numbers(saved, left, partial(read_storage, key))
            left -= storages[key].nbytes
    return root, storages


def _numbers(saved: SavedStorage, most: int, read: Callable[[int], bytes]) -> Tensor:
    """A storage as a 1-D tensor.

    Args:
        saved: what is known of it.
        most: how many bytes the file can have for it.
        read: gives so many bytes, or fewer where the file ends.
    """
    num_byte = saved.numel * saved.dtype.itemsize
    content = read(num_byte) if num_byte <= most else b''
    if len(content) != num_byte:
        raise WeightsError(f'cut short, or damaged: it lacks numbers of the storage {saved.key:.20}')
    return torch.frombuffer(bytearray(content), dtype=saved.dtype) if content else torch.empty(0, dtype=saved.dtype)
