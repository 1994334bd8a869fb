"""In which precision a network computes, and what is done where that is too little."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from satvsr_plugin.errors import OptionError

DtypeName = Literal['auto', 'float32', 'float16', 'bfloat16']
DTYPES = {'float32': torch.float32, 'float16': torch.float16, 'bfloat16': torch.bfloat16}
TENSOR_CORES = 7  # compute capability from which GPUs multiply float16 several times as fast as float32


def choose_device(name: str) -> torch.device:
    """``auto`` (a GPU where there is one) or any name of torch's.

    Raises:
        OptionError: there is no such device.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or ['not built into this torch'])[0]
        raise OptionError(f'device: {name} cannot be used here ({reason}); choose auto, cpu or cuda') from None
    return device


def choose_dtype(name: str, device: torch.device, bit_depth: int) -> torch.dtype:
    """In what a network's convolutions compute.

    ``auto`` is float16 for 8-bit frames on GPUs that are good at it. Not bfloat16, although it cannot overflow: of
    values near 1 it tells steps of 1/256 apart, which is a grey level, float16 of 1/2048; and results that did
    overflow are computed again. Frames of 16 bit keep their precision in float32 only, and CPUs that have no
    instructions for half types take many times as long with them.

    Raises:
        OptionError: the name is not known.
    """
    if name in DTYPES:
        return DTYPES[name]
    if name != 'auto':
        raise OptionError(f'dtype: {name} is not known; choose auto, {", ".join(DTYPES)}')
    fast = device.type == 'cuda' and torch.cuda.get_device_capability(device)[0] >= TENSOR_CORES
    return torch.float16 if fast and bit_depth == 8 else torch.float32


@contextmanager
def computing_in(dtype: torch.dtype, device: torch.device) -> Iterator[None]:
    """Without gradients, the same to the last bit at every run, and float32 in full where it is asked for.

    By default torch computes float32 convolutions on a GPU with the 10 bits of TF32.
    """
    with (torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
          torch.autocast(device.type, dtype=dtype if dtype != torch.float32 else None, enabled=dtype != torch.float32)):
        yield
