"""``dcn: triton``: its kernels (``triton_cases.py``), when it is refused, and what is known of it without a GPU."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops import flop_formulas, triton_deform_conv  # noqa: F401  (registers the formulas)
from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d, resolve_backend

CASES = Path(__file__).with_name('triton_cases.py')
CUDA = torch.cuda.is_available()


@pytest.mark.parametrize('interpret', [True, pytest.param(False, marks=[
    pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason='needs a CUDA GPU')])], ids=['interpreter', 'gpu'])
def test_kernels(interpret):
    """In a process of its own: triton asks for the variable while it is imported, and other tests import it too."""
    pytest.importorskip('triton')
    environment = {name: value for name, value in os.environ.items()
                   if name not in ('TRITON_INTERPRET', 'PYTEST_ADDOPTS')}
    environment |= {'TRITON_INTERPRET': '1'} if interpret else {}
    result = subprocess.run([sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', str(CASES)],
                            env=environment, cwd=CASES.parents[2], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def no_answer_yet():
    """The answer is kept for the process; these tests ask anew."""
    triton_deform_conv.triton_fault.cache_clear()
    yield
    triton_deform_conv.triton_fault.cache_clear()


def test_it_is_refused_without_a_gpu(no_answer_yet, monkeypatch):
    pytest.importorskip('triton')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(triton_deform_conv, '_kernels', lambda: SimpleNamespace(INTERPRETED=False))
    with pytest.raises(OptionError, match='dcn: triton was asked for, but torch finds no CUDA GPU here; set dcn: auto'):
        resolve_backend('triton')


def test_it_is_refused_where_its_kernels_fail(no_answer_yet, monkeypatch):
    def fail() -> None:
        raise RuntimeError('Failed to find C compiler.\nPlease specify via CC')

    pytest.importorskip('triton')
    monkeypatch.setattr(triton_deform_conv, '_kernels', fail)
    with pytest.raises(OptionError, match=r'do not work here \(Failed to find C compiler\.\); set dcn: auto'):
        resolve_backend('triton')


def test_without_triton_all_but_itself_works():
    program = ('import sys; sys.modules["triton"] = None\n'
               'from satvsr_plugin.ops import deform_conv\n'
               'print(deform_conv.resolve_backend("torchvision"))\n'
               'deform_conv.resolve_backend("triton")')
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.stdout == 'torchvision\n'
    assert 'OptionError: dcn: triton was asked for, but triton is not installed; set dcn: auto' in result.stderr


def tensors() -> list[torch.Tensor]:
    return [torch.rand(shape) for shape in ((2, 4, 5, 6), (2, 36, 5, 6), (2, 18, 5, 6), (8, 4, 3, 3), (8,))]


def test_features_on_a_cpu_are_refused(monkeypatch):
    """A GPU machine may run a network on the CPU."""
    monkeypatch.setattr(triton_deform_conv, '_kernels', lambda: SimpleNamespace(INTERPRETED=False))
    with pytest.raises(OptionError, match='runs on CUDA GPUs only, and the features are on cpu; set dcn: auto'):
        modulated_deform_conv2d(*tensors(), 1, 2, 'triton')


def test_it_counts_as_a_plain_convolution():
    counter = FlopCounterMode(display=False)
    with FakeTensorMode(), counter:  # shapes only
        out = modulated_deform_conv2d(*tensors(), 1, 2, 'triton')
    assert out.shape == (2, 8, 5, 6)
    assert counter.get_total_flops() == 2 * (2 * 5 * 6) * 8 * (4 * 3 * 3)


@pytest.fixture
def kernels(monkeypatch, tmp_path):
    """The kernels, with a cache of compiled ones that is empty."""
    pytest.importorskip('triton')
    monkeypatch.setenv('TRITON_CACHE_DIR', str(tmp_path))
    if triton_deform_conv._kernels().INTERPRETED:
        pytest.skip('the interpreter compiles nothing')
    return triton_deform_conv._kernels()


@pytest.mark.parametrize('capability', [80, 90])
@pytest.mark.parametrize('dtype', ['fp16', 'bf16', 'fp32', 'fp64'])
def test_kernels_compile_for_gpus_that_are_not_here(dtype, capability, kernels):
    """To machine code; and eight channels of a half type at a corner are one read."""
    for kernel in (kernels._sample_kernel, kernels._gradient_kernel):
        ptx = compile_kernel(kernel, dtype, capability, CHANNELS=64, GROUPS=8, KERNEL=3, **kernels.tile_of(64, 8, 1024))
        reads = len(re.findall(r'ld\.global\S*\.v4\.\S*32', ptx))
        assert reads == {'fp64': 0, 'fp32': 2 * reads_of(kernel)}.get(dtype, reads_of(kernel))


def reads_of(kernel) -> int:
    """Four corners; the gradient kernel also reads the columns' gradient."""
    return 5 if 'grad_columns' in kernel.arg_names else 4


def test_kernels_compile_for_one_pixel(kernels):
    """Sizes of 1 become constants; ``triton_fault`` asks for this."""
    ones = dict.fromkeys(('places', 'h', 'w', 'h_out', 'w_out', 'padding', 'CHANNELS', 'GROUPS', 'KERNEL'), 1)
    for kernel in (kernels._sample_kernel, kernels._gradient_kernel):
        assert 'ld.global' in compile_kernel(kernel, 'fp32', 80, **ones, **kernels.tile_of(1, 1, 1024))


def compile_kernel(kernel, dtype: str, capability: int, **constants: int) -> str:
    """PTX for data of a type; triton hands it to NVIDIA's assembler, too."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    places = '*fp64' if dtype == 'fp64' else '*fp32'
    types = dict.fromkeys(('x', 'columns', 'grad_columns'), f'*{dtype}')
    types |= dict.fromkeys(('offset', 'mask', 'grad_x', 'grad_offset', 'grad_mask'), places)
    signature = {name: 'constexpr' if name in constants else types.get(name, 'i32') for name in kernel.arg_names}
    aligned = {(index,): [['tt.divisibility', 16]] for index, name in enumerate(signature) if name in types}
    source = ASTSource(kernel, signature, constexprs=constants, attrs=aligned)
    return triton.compile(source, target=GPUTarget('cuda', capability, 32)).asm['ptx']
