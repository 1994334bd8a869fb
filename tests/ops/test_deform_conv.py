"""The deformable convolution against a plain one, against torchvision's, and against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import deform_conv2d

from satvsr_plugin.errors import OptionError
from satvsr_plugin.ops import deform_conv, sampled_deform_conv, sampled_gradients
from satvsr_plugin.ops.deform_conv import modulated_deform_conv2d, resolve_backend
from satvsr_plugin.ops.guided_deform_conv import GuidedDeformConv

GROUPS = 2
BACKENDS = [pytest.param('mmcv', marks=pytest.mark.skipif(
    deform_conv.mmcv_fault() is not None, reason='needs mmcv with compiled ops')), 'torchvision']


def random_tensors(dtype: torch.dtype = torch.float64, size: int = 7) -> list[torch.Tensor]:
    """x, offset, mask, weight, bias; offsets stay away from integers, where bilinear sampling has a kink."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, size, size + 2, generator=g, dtype=dtype)
    offset = torch.randint(-2, 3, (2, 2 * GROUPS * 9, size, size + 2), generator=g) \
        + torch.rand(2, 2 * GROUPS * 9, size, size + 2, generator=g, dtype=dtype) * 0.8 + 0.1
    mask = torch.rand(2, GROUPS * 9, size, size + 2, generator=g, dtype=dtype)
    weight = torch.randn(6, 4, 3, 3, generator=g, dtype=dtype)
    bias = torch.randn(6, generator=g, dtype=dtype)
    return [x, offset, mask, weight, bias]


@pytest.mark.parametrize('backend', BACKENDS)
def test_zero_offset_and_unit_mask_is_a_plain_convolution(backend):
    x, offset, mask, weight, bias = random_tensors()
    out = modulated_deform_conv2d(x, offset * 0, torch.ones_like(mask), weight, bias, 1, GROUPS, backend)
    torch.testing.assert_close(out, F.conv2d(x, weight, bias, padding=1))


@pytest.mark.parametrize('backend', BACKENDS)
def test_equals_torchvision_forward_and_gradients(backend):
    ours = [t.requires_grad_() for t in random_tensors()]
    theirs = [t.detach().clone().requires_grad_() for t in ours]
    out = modulated_deform_conv2d(*ours, 1, GROUPS, backend)
    x, offset, mask, weight, bias = theirs
    expected = deform_conv2d(x, offset, weight, bias, padding=1, mask=mask)
    torch.testing.assert_close(out, expected)
    probe = torch.randn_like(out)
    for grad, reference in zip(torch.autograd.grad(out, ours, probe), torch.autograd.grad(expected, theirs, probe),
                               strict=True):
        torch.testing.assert_close(grad, reference)


@pytest.mark.parametrize('most', [2**24, 1])  # all samples at once, and one by one
@pytest.mark.parametrize('padding', [0, 1])
def test_sampled_gradients_are_those_of_the_kernel(most, padding, monkeypatch):
    monkeypatch.setattr(sampled_gradients, '_MOST_COLUMNS', most)
    x, offset, mask, weight, bias = random_tensors()
    rows, columns = (size - 2 + 2 * padding for size in x.shape[2:])
    offset, mask = 3 * offset[..., :rows, :columns] + 0.01, mask[..., :rows, :columns]  # many reach outside
    assert sampled_gradients.can_sample(x, offset)
    grad = torch.randn(2, 6, rows, columns, dtype=x.dtype)
    ours = sampled_gradients.sampled_gradients(grad, x, offset, mask, weight, padding, GROUPS)
    theirs = [t.clone().requires_grad_() for t in (x, offset, mask, weight, bias)]
    out = deform_conv2d(*(theirs[i] for i in (0, 1, 3, 4)), padding=padding, mask=theirs[2])
    for grad_ours, grad_theirs in zip(ours, torch.autograd.grad(out, theirs, grad), strict=True):
        torch.testing.assert_close(grad_ours, grad_theirs)


@pytest.mark.parametrize('most', [2**21, 1])  # all rows at once, and one by one
@pytest.mark.parametrize('padding', [0, 1])
def test_sampling_gives_what_the_kernel_gives(most, padding, monkeypatch):
    monkeypatch.setattr(sampled_deform_conv, '_MOST_SAMPLES', most)
    x, offset, mask, weight, bias = random_tensors()
    rows, columns = (size - 2 + 2 * padding for size in x.shape[2:])
    offset, mask = 3 * offset[..., :rows, :columns], mask[..., :rows, :columns]
    offset[:, ::7] *= 1e6  # far outside
    offset[0, 3, 2] = torch.inf
    offset[1, 4] = offset[1, 4].round()
    out = modulated_deform_conv2d(x, offset, mask, weight, bias, padding, GROUPS, 'sampled')
    expected = deform_conv2d(x, offset.nan_to_num(posinf=1e9), weight, bias, padding=padding, mask=mask)
    torch.testing.assert_close(out, expected)


def test_sampling_lines_and_no_numbers():
    x, offset, mask, weight, bias = random_tensors()
    for cut in ((..., slice(0, 1)), (..., slice(0, 1), slice(None)), (..., slice(0, 1), slice(0, 1))):
        x1, offset1, mask1 = (tensor[cut].contiguous() for tensor in (x, offset, mask))
        out = modulated_deform_conv2d(x1, offset1, mask1, weight, bias, 1, GROUPS, 'sampled')
        torch.testing.assert_close(out, deform_conv2d(x1, offset1, weight, bias, padding=1, mask=mask1))
    offset[0, 0, 2, 3] = torch.nan
    out = modulated_deform_conv2d(x, offset, mask, weight, bias, 1, GROUPS, 'sampled')
    assert out[0, :, 2, 3].isnan().all() and out.isnan().sum() == 6


def test_gradients_at_whole_offsets_and_of_lines_are_left_to_the_kernel():
    x, offset, *_ = random_tensors()
    assert not sampled_gradients.can_sample(x, offset * 0)
    assert not sampled_gradients.can_sample(x[:, :, :1], offset[:, :, :1])


@pytest.mark.skipif(deform_conv.mmcv_fault() is not None, reason='needs mmcv with compiled ops')
def test_gradients_at_whole_offsets_are_those_of_mmcv():
    from mmcv.ops import modulated_deform_conv2d as mmcv_deform_conv2d

    tensors = [t.float() for t in random_tensors()]
    tensors[1].zero_()
    ours, theirs = ([t.clone().requires_grad_() for t in tensors] for _ in range(2))
    modulated_deform_conv2d(*ours, 1, GROUPS, 'mmcv').square().sum().backward()
    mmcv_deform_conv2d(*theirs, 1, 1, 1, 1, GROUPS).square().sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('backend', BACKENDS)
def test_gradients_equal_finite_differences(backend):
    tensors = [t.requires_grad_() for t in random_tensors(size=3)]
    assert torch.autograd.gradcheck(lambda *t: modulated_deform_conv2d(*t, 1, GROUPS, backend), tensors)


@pytest.mark.parametrize('backend', BACKENDS)
def test_memory_format_does_not_matter(backend):
    tensors = random_tensors()
    expected = modulated_deform_conv2d(*tensors, 1, GROUPS, backend)
    strided = [t.to(memory_format=torch.channels_last) if t.dim() == 4 else t for t in tensors]
    torch.testing.assert_close(modulated_deform_conv2d(*strided, 1, GROUPS, backend), expected)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_autocast_samples_at_float32_coordinates(backend, dtype):
    """At 600 px a half-precision coordinate is off by a quarter of a pixel or more; the sampled ramp would tell."""
    ramp = torch.arange(640.0).expand(1, 1, 4, 640)
    offset = torch.zeros(1, 2, 4, 640)
    offset[:, 1] = 0.3  # dx
    one = torch.ones(1, 1, 1, 1)
    with torch.autocast('cpu', dtype=dtype):
        out = modulated_deform_conv2d(ramp, offset, torch.ones(1, 1, 4, 640), one, torch.zeros(1), 0, 1, backend)
        half = modulated_deform_conv2d(ramp.clamp(max=2).to(dtype), offset, torch.ones(1, 1, 4, 640), one,
                                       torch.zeros(1), 0, 1, backend)
    assert (out.dtype, half.dtype) == (torch.float32, dtype)
    assert (half[..., 2:-1] == 2).all()
    torch.testing.assert_close(out[0, 0, 0, :-1], torch.arange(639.0) + 0.3, atol=1e-3, rtol=0)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_module_predicts_offsets_in_float32_under_autocast(dtype):
    torch.manual_seed(0)
    layer = GuidedDeformConv(8, 8, deformable_groups=2)
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.2)
    seen = []
    layer.conv_offset_mask.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    x, guide = torch.randn(2, 1, 8, 9, 9).to(dtype).float()
    expected = layer(x, guide)
    with torch.autocast('cpu', dtype=dtype):
        out = layer(x.to(dtype), guide.to(dtype))
    assert out.dtype == dtype
    torch.testing.assert_close(seen[1], seen[0])  # in float32 to the last digits
    torch.testing.assert_close(out, expected.to(dtype))


@pytest.mark.parametrize('backend', BACKENDS)
def test_a_nan_offset_spoils_its_own_place_only(backend):
    """The compiled kernels would end the process."""
    x, offset, mask, weight, bias = random_tensors()
    expected = modulated_deform_conv2d(x, offset, mask, weight, bias, 1, GROUPS, backend)
    offset[0, 3, 2, 4] = torch.nan
    tensors = [t.requires_grad_() for t in (x, offset, mask, weight, bias)]
    out = modulated_deform_conv2d(*tensors, 1, GROUPS, backend)
    spoilt = out.isnan()
    assert spoilt[0, :, 2, 4].all() and spoilt.sum() == 6
    torch.testing.assert_close(out[~spoilt], expected[~spoilt])
    out.sum().backward()
    assert weight.grad.isnan().any()


@pytest.mark.parametrize('name, index', [('offset', 1), ('mask', 2)])
def test_wrong_shapes_are_refused(name, index):
    tensors = random_tensors()
    tensors[index] = tensors[index][:, :, :-1]
    with pytest.raises(ValueError, match=f'{name} has shape .* is needed'):
        modulated_deform_conv2d(*tensors, 1, GROUPS, 'torchvision')


def test_channels_that_the_groups_do_not_divide_are_refused():
    with pytest.raises(ValueError, match='3 deformable groups'):
        modulated_deform_conv2d(*random_tensors(), 1, 3, 'torchvision')


@pytest.mark.parametrize('backend', BACKENDS)
def test_compiles_and_exports_as_one_graph(backend):
    torch.manual_seed(0)
    layer = GuidedDeformConv(8, 8, deformable_groups=2, dcn=backend)
    torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.2)
    x, guide = torch.randn(2, 1, 8, 6, 6)
    expected = layer(x, guide)
    compiled = torch.compile(layer, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x, guide), expected)
    exported = torch.export.export(layer, (x, guide))
    torch.testing.assert_close(exported.module()(x, guide), expected)


@pytest.mark.skipif(deform_conv.mmcv_fault() is not None, reason='needs mmcv with compiled ops')
def test_operator_passes_the_checks_of_torch_library():
    tensors = [t.requires_grad_() for t in random_tensors()]
    torch.library.opcheck(torch.ops.satvsr.modulated_deform_conv2d, (*tensors, 1, GROUPS))


def test_auto_falls_back_with_one_warning_that_names_the_mend(monkeypatch):
    deform_conv._warn_of_fallback.cache_clear()
    monkeypatch.setattr(deform_conv, 'mmcv_fault', lambda: 'mmcv is not installed')
    with pytest.warns(UserWarning, match='mmcv is not installed; .*torchvision.*setup_env.sh') as caught:
        assert [resolve_backend('auto') for _ in range(3)] == ['torchvision'] * 3
    assert len(caught) == 1
    with pytest.raises(OptionError, match='mmcv is not installed'):
        resolve_backend('mmcv')


def test_unknown_backend_is_refused():
    with pytest.raises(OptionError, match='auto, mmcv, torchvision or triton'):
        resolve_backend('cuda')


def test_state_dict_does_not_depend_on_the_backend():
    assert GuidedDeformConv(8, 8, dcn='auto').state_dict().keys() == \
        GuidedDeformConv(8, 8, dcn='torchvision').state_dict().keys()
