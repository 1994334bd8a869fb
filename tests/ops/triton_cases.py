"""The Triton convolution against float64 references, on a GPU or, with TRITON_INTERPRET=1, in Triton's interpreter.

``test_triton_deform_conv.py`` runs this in a process of its own, where the variable is set before triton is imported.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from satvsr_plugin.ops import deform_conv, triton_deform_conv
from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d, resolve_backend
from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv
from satvsr_plugin.ops.plain_deform_conv import DeformConv

DEVICE = 'cpu' if triton_deform_conv._kernels().INTERPRETED else 'cuda'

# Half a step of each type, relative to a value. The interpreter cuts bfloat16 off where a GPU rounds it.
ROUNDING = {torch.float16: 2**-11, torch.bfloat16: 2**-8}


@pytest.fixture(autouse=True)
def full_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)


def make_tensors(b: int = 2, c: int = 8, h: int = 5, w: int = 7, groups: int = 2, kernel: int = 3, padding: int = 1,
                 dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """x, offset, mask, weight, bias; samples reach up to 4 pixels outside, and none lies on a whole pixel."""
    g = torch.Generator().manual_seed(b + c + h + w + groups + kernel)
    h_out, w_out = h + 2 * padding - kernel + 1, w + 2 * padding - kernel + 1
    offset_shape = (b, 2 * groups * kernel**2, h_out, w_out)
    offset = torch.randint(-4, 4, offset_shape, generator=g) + torch.rand(offset_shape, generator=g) * 0.8 + 0.1
    mask = torch.rand(b, groups * kernel**2, h_out, w_out, generator=g)
    x = torch.randn(b, c, h, w, generator=g)
    weight = torch.randn(6, c, kernel, kernel, generator=g) / (c * kernel**2)**0.5
    return [t.to(DEVICE, dtype) for t in (x, offset, mask, weight, torch.randn(6, generator=g))]


def run(tensors: list[Tensor], grad: Tensor | None = None, padding: int = 1, groups: int = 2) -> list[Tensor]:
    """Output, and gradients of all arguments."""
    tensors = [t.detach().clone().requires_grad_() for t in tensors]
    out = modulated_deform_conv2d(*tensors, padding, groups, 'triton')
    grad = torch.ones_like(out) if grad is None else grad
    return [out, *torch.autograd.grad(out, tensors, grad.to(out.dtype))]


def reference(tensors: list[Tensor], grad: Tensor | None = None, padding: int = 1) -> list[Tensor]:
    """torchvision's kernel in float64."""
    x, offset, mask, weight, bias = tensors = [t.detach().double().requires_grad_() for t in tensors]
    out = deform_conv2d(x, offset, weight, bias, padding=padding, mask=mask)
    grad = torch.ones_like(out) if grad is None else grad
    return [out, *torch.autograd.grad(out, tensors, grad.double())]


def a_gradient(tensors: list[Tensor]) -> Tensor:
    b, h_out, w_out = tensors[1].shape[0], *tensors[1].shape[2:]
    return torch.randn(b, 6, h_out, w_out, generator=torch.Generator().manual_seed(1)).to(tensors[0])


@pytest.mark.parametrize('shape', [
    dict(b=2, c=8, h=5, w=7, groups=2),
    dict(b=1, c=64, h=6, w=11, groups=8),  # a tile that the places do not fill
    dict(b=3, c=8, h=3, w=5, groups=8),  # one channel a group
    dict(b=1, c=16, h=4, w=3, groups=1),
    dict(b=2, c=9, h=4, w=5, groups=3),  # no powers of two
    dict(b=2, c=8, h=4, w=6, groups=2, kernel=1, padding=0),
    dict(b=1, c=8, h=6, w=5, groups=2, padding=0),  # an output smaller than the input
    dict(b=1, c=4, h=1, w=9, groups=2),  # a line
    dict(b=1, c=4, h=17, w=31, groups=1),  # several programs a tap
], ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_equals_torchvision_forward_and_gradients(shape, dtype):
    tensors = make_tensors(**shape, dtype=dtype)
    padding, groups = shape.get('padding', 1), shape['groups']
    grad = a_gradient(tensors)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    for ours, theirs in zip(run(tensors, grad, padding, groups), reference(tensors, grad, padding), strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.double(), theirs, rtol=tolerance, atol=tolerance)


def test_a_batch_in_parts_is_the_same(monkeypatch):
    tensors = make_tensors(b=3)
    whole = run(tensors)
    monkeypatch.setattr(triton_deform_conv, '_MOST_COLUMNS', 2 * 5 * 7 * 8 * 9)  # of two samples
    for ours, theirs in zip(run(tensors), whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-5)


def test_an_empty_batch_gives_an_empty_output():
    out, *grads = run(make_tensors(b=0))
    assert out.shape == (0, 6, 5, 7)
    assert not grads[3].any() and not grads[4].any()


@pytest.mark.skipif(deform_conv.mmcv_fault() is not None, reason='needs mmcv with compiled ops')
@pytest.mark.parametrize('step', [0, 1])  # all on their own pixel; whole offsets, some of them onto and over the border
def test_gradients_at_whole_offsets_are_those_of_mmcv(step):
    from mmcv.ops import modulated_deform_conv2d as mmcv_deform_conv2d

    tensors = make_tensors()
    tensors[1] = step * tensors[1].round()
    theirs = [t.clone().requires_grad_() for t in tensors]
    grad = a_gradient(tensors)
    expected = mmcv_deform_conv2d(*theirs, 1, 1, 1, 1, 2)
    for a, b in zip(run(tensors, grad), [expected, *torch.autograd.grad(expected, theirs, grad)], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_zero_offset_and_unit_mask_is_a_plain_convolution():
    x, offset, mask, weight, bias = make_tensors()
    out = modulated_deform_conv2d(x, offset * 0, torch.ones_like(mask), weight, bias, 1, 2, 'triton')
    torch.testing.assert_close(out, F.conv2d(x, weight, bias, padding=1))


def test_gradients_equal_finite_differences():
    tensors = [t.requires_grad_() for t in make_tensors(b=1, c=2, h=3, w=2, groups=1, dtype=torch.float64)]
    assert torch.autograd.gradcheck(lambda *t: modulated_deform_conv2d(*t, 1, 1, 'triton'), tensors, fast_mode=True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_types_differ_by_rounding_only(dtype):
    """Columns and output are rounded once each, gradients likewise; offsets are not, nor what is summed."""
    tensors = make_tensors(c=16, h=9, w=9)
    tensors[0], tensors[3], tensors[4] = (tensors[i].to(dtype) for i in (0, 3, 4))
    grad = a_gradient(tensors)
    ours = run(tensors, grad)
    assert [t.dtype for t in ours] == [dtype, dtype, torch.float32, torch.float32, dtype, dtype]
    for name, a, b in zip(('out', 'x', 'offset', 'mask', 'weight', 'bias'), ours, reference(tensors, grad),
                          strict=True):
        error = (a.double() - b).square().mean().sqrt() / b.square().mean().sqrt()
        assert error < 2 * ROUNDING[dtype], name


def test_half_types_sample_at_float32_coordinates():
    """At 200 px float16 rounds a coordinate to an eighth of a pixel."""
    place = torch.arange(208.0, device=DEVICE)
    x = torch.sin(place).expand(1, 1, 1, 208)
    offset = torch.zeros(1, 2, 1, 208, device=DEVICE)
    offset[:, 1] = torch.linspace(0.1, 0.9, 208)  # dx
    rounded = offset.clone()
    rounded[:, 1] = (place + offset[:, 1]).half().float() - place
    mask, one, none = torch.ones_like(x), torch.ones(1, 1, 1, 1, device=DEVICE), torch.zeros(1, device=DEVICE)
    expected = deform_conv2d(x, offset, one, none, mask=mask)
    rounding_coordinates = (deform_conv2d(x, rounded, one, none, mask=mask) - expected).abs().mean()
    ours = modulated_deform_conv2d(x.half(), offset, mask, one.half(), none.half(), 0, 1, 'triton')
    assert (ours.float() - expected).abs().mean() < 0.1 * rounding_coordinates


@pytest.mark.parametrize('channels_last', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_computes_in_its_type_and_returns_that_of_x(dtype, channels_last):
    x, offset, mask, weight, bias = make_tensors()
    leaves = [t.requires_grad_() for t in (x.to(dtype), offset, mask, weight, bias)]
    x = leaves[0].to(memory_format=torch.channels_last) if channels_last else leaves[0]
    plain = run([t.to(dtype) if i in (0, 3, 4) else t for i, t in enumerate(leaves)])
    with torch.autocast(DEVICE, dtype=dtype):
        out = modulated_deform_conv2d(x, *leaves[1:], 1, 2, 'triton')
        of_float32 = modulated_deform_conv2d(x.float(), *leaves[1:], 1, 2, 'triton')
    assert (out.dtype, of_float32.dtype) == (dtype, torch.float32)
    torch.testing.assert_close(out, plain[0])
    torch.testing.assert_close(of_float32, out.float())
    for leaf, grad, expected in zip(leaves, torch.autograd.grad(out.sum(), leaves), plain[1:], strict=True):
        assert grad.dtype == leaf.dtype
        torch.testing.assert_close(grad, expected.to(leaf.dtype))


def test_autocast_leaves_float64_alone():
    tensors = make_tensors(dtype=torch.float64)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        out = modulated_deform_conv2d(*tensors, 1, 2, 'triton')
    torch.testing.assert_close(out, reference(tensors)[0])


def test_memory_format_does_not_matter():
    tensors = make_tensors()
    strided = [t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for t in tensors]
    for a, b in zip(run(strided), run(tensors), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('component', [0, 1])
def test_a_nan_offset_spoils_its_own_place_only(component):
    tensors = make_tensors()
    expected = run(tensors)[0]
    tensors[1][0, 2 + component, 2, 4] = torch.nan
    out, _, _, _, grad_weight, _ = run(tensors)
    spoilt = out.isnan()
    assert spoilt[0, :, 2, 4].all() and spoilt.sum() == 6
    torch.testing.assert_close(out[~spoilt], expected[~spoilt])
    assert grad_weight.isnan().any()


@pytest.mark.parametrize('value', [-1e30, 2.0**31, 3e9, 1e30, float('inf'), float('-inf'), -7.0, 7.0])
@pytest.mark.parametrize('component', [0, 1])
def test_samples_far_outside_are_zeros_without_gradient(value, component):
    """Made a whole number, such a coordinate would be any address."""
    tensors = make_tensors(h=5, w=5)
    expected = reference([t[:1] if t.dim() == 4 and len(t) == 2 else t for t in tensors])
    tensors[1][1, component::2] = value
    out, grad_x, grad_offset, grad_mask, *_ = run(tensors)
    assert torch.equal(out[1], tensors[4].view(-1, 1, 1).expand_as(out[1]))
    assert not grad_x[1].any() and not grad_offset[1].any() and not grad_mask[1].any()
    for ours, theirs in zip((out, grad_x, grad_offset, grad_mask), expected, strict=False):
        torch.testing.assert_close(ours[:1].double(), theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('layer', [GuidedDeformConv, DeformConv])
def test_compiles_and_exports_as_one_graph(layer):
    torch.manual_seed(0)
    net = layer(8, 8, deformable_groups=2, dcn='triton').to(DEVICE)
    x, guide = torch.randn(2, 2, 8, 5, 6, device=DEVICE)
    inputs = (x, guide if layer is GuidedDeformConv else torch.randn(2, 36, 5, 6, device=DEVICE))
    if layer is GuidedDeformConv:
        torch.nn.init.normal_(net.conv_offset_mask.weight, std=0.2)
    expected = net(*inputs)
    compiled = torch.compile(net, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*inputs), expected)
    grads = torch.autograd.grad(expected.square().sum(), list(net.parameters()))
    compiled_grads = torch.autograd.grad(compiled(*inputs).square().sum(), list(net.parameters()))
    torch.testing.assert_close(compiled_grads, grads)
    with torch.autocast(DEVICE, dtype=torch.bfloat16):
        torch.testing.assert_close(torch.compile(net, fullgraph=True, backend='aot_eager')(*inputs), net(*inputs))
    exported = torch.export.export(net, inputs)
    torch.testing.assert_close(exported.module()(*inputs), expected)


def test_operator_passes_the_checks_of_torch_library():
    x, *others = make_tensors()
    tensors = [t.requires_grad_() for t in (x.permute(0, 2, 3, 1).contiguous(), *others)]
    torch.library.opcheck(torch.ops.satvsr.triton_deform_conv2d, (*tensors, 1, 2))


def test_the_option_is_accepted_here():
    assert resolve_backend('triton') == 'triton'
