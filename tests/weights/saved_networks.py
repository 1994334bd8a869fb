"""Networks saved whole, as TDAN's authors did: by today's torch, and byte for byte as torch 0.3 did it."""

from __future__ import annotations

import importlib
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from satvsr_plugin.weights.pickled_module import MAGIC_NUMBER, PROTOCOL_VERSION

DEFORM_CONV = '''
import torch
from torch import nn


class ConvOffset2d(nn.Module):
    def __init__(self, channels, num_deformable_group):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels, 3, 3))
        self.kernel_size, self.stride, self.padding = (3, 3), (1, 1), (1, 1)
        self.num_deformable_group = num_deformable_group
'''
MODEL = '''
from modules.deform_conv import ConvOffset2d
from torch import nn


class Res_Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1)
        self.relu = nn.ReLU(True)


class TDAN_VSR(nn.Module):
    """Les noms comptent, les nombres non: é."""

    def __init__(self, channels=8, groups=2):
        super().__init__()
        self.name = 'TDAN'
        self.conv_first = nn.Conv2d(3, channels, 3, 1, 1)
        self.residual_layer = nn.Sequential(*(Res_Block(channels) for _ in range(5)))
        self.cr = nn.Conv2d(2 * channels, channels, 3, 1, 1)
        for offset, conv in (('off2d_1', 'dconv_1'), ('off2d_2', 'deconv_2'), ('off2d_3', 'deconv_3'),
                             ('off2d', 'dconv')):
            self.add_module(offset, nn.Conv2d(channels, 18 * groups, 3, 1, 1))
            self.add_module(conv, ConvOffset2d(channels, groups))
        self.recon_lr = nn.Conv2d(channels, 3, 3, 1, 1)
        self.fea_ex = nn.Sequential(nn.Conv2d(15, channels, 3, 1, 1), nn.ReLU())
        self.recon_layer = nn.Sequential(*(Res_Block(channels) for _ in range(10)))
        upscale = nn.Sequential(nn.Conv2d(channels, 4 * channels, 3, 1, 1), nn.PixelShuffle(2),
                                nn.Conv2d(channels, 4 * channels, 3, 1, 1), nn.PixelShuffle(2))
        self.up = nn.Sequential(upscale, nn.Conv2d(channels, 3, 3, 1, 1, bias=False))
'''


@contextmanager
def authors_code(folder: Path) -> Iterator[type[nn.Module]]:
    """TDAN's code as its authors call it, importable only inside the block; gives the network's class."""
    (folder / 'modules').mkdir(exist_ok=True)
    (folder / 'modules' / '__init__.py').write_text('')
    (folder / 'modules' / 'deform_conv.py').write_text(DEFORM_CONV)
    (folder / 'model.py').write_text(MODEL, encoding='utf-8')
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module('model').TDAN_VSR
    finally:
        sys.path.remove(str(folder))
        for name in ('model', 'modules', 'modules.deform_conv'):
            sys.modules.pop(name, None)


def _get_thnn_function_backend() -> None:
    """The function that makes what every module of torch 0.3 holds as ``_backend``."""


_get_thnn_function_backend.__module__ = BACKEND = 'torch.nn.backends.thnn'


class _Backend:
    def __reduce__(self) -> tuple:
        return _get_thnn_function_backend, ()


class _Numbers:
    """A storage, to be filed apart."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


class _Torch03Pickler(pickle.Pickler):
    """Reduces parameters and tensors as torch 0.3 did; the storages are on a GPU."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[str, Tensor] = {}
        self.classes: set[type] = set()

    def persistent_id(self, obj: Any) -> tuple | None:
        if isinstance(obj, type) and issubclass(obj, nn.Module) and obj not in self.classes:
            self.classes.add(obj)
            return 'module', obj, '/home/author/model.py', 'class ...: é'
        if isinstance(obj, _Numbers):
            key = str(94_000_000_000_000 + obj.tensor.data_ptr() % 2**40)
            self.storages[key] = obj.tensor
            return 'storage', torch.cuda.FloatStorage, key, 'cuda:0', obj.tensor.numel(), None
        return None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, nn.Parameter):
            return nn.Parameter, (obj.data,), (True, False, OrderedDict())
        if isinstance(obj, Tensor):
            size, stride = tuple(obj.shape), obj.stride()
            return torch._utils._rebuild_tensor, (_Numbers(obj), obj.storage_offset(), size, stride)
        return NotImplemented


def save_as_torch_03(net: nn.Module, path: Path) -> None:
    """Write what ``torch.save(net, path)`` of torch 0.3 wrote."""
    sys.modules[BACKEND] = backend = ModuleType(BACKEND)
    backend._get_thnn_function_backend = _get_thnn_function_backend
    for module in net.modules():
        module._backend = _Backend()
    try:
        with path.open('wb') as file:
            write_header(file)
            pickler = _Torch03Pickler(file)
            pickler.dump(net)
            keys = sorted(pickler.storages)
            pickle.dump(keys, file, protocol=2)
            for key in keys:
                content = pickler.storages[key].detach().contiguous().numpy().tobytes()
                file.write(struct.pack('<q', len(content) // 4) + content)
    finally:
        for module in net.modules():
            del module._backend
        del sys.modules[BACKEND]


def write_header(file: BinaryIO, little_endian: bool = True) -> None:
    """What stands before the pickle in the layout of torch up to 1.5."""
    sizes = {'short': 2, 'int': 4, 'long': 4}
    for part in (MAGIC_NUMBER, PROTOCOL_VERSION,
                 {'protocol_version': PROTOCOL_VERSION, 'little_endian': little_endian, 'type_sizes': sizes}):
        pickle.dump(part, file, protocol=2)
