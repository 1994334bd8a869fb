"""The keys of original checkpoints in the names of ours."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from satvsr_plugin.errors import WeightsError
from satvsr_plugin.weights.files import check_state_dict

WRAPPERS = ('params_ema', 'params', 'state_dict')  # under which programs file a state dict
DEEPEST_WRAPPING = 4
PREFIXES = ('module.', 'generator.')  # of DataParallel, and of mmagic's restorers

# Beginnings of keys, theirs to ours; of several that fit, the first counts. Networks without an entry here keep the
# names of the original checkpoint.
_TDAN_MMAGIC = {
    'feat_extract.0.conv.': 'conv_first.',
    'feat_extract.1.': 'residual_layer.',
    'feat_aggregate.0.': 'cr.',
    'feat_aggregate.1.conv_offset.': 'off2d_1.',
    'feat_aggregate.1.': 'dconv_1.',
    'feat_aggregate.2.conv_offset.': 'off2d_2.',
    'feat_aggregate.2.': 'deconv_2.',
    'align_1.conv_offset.': 'off2d_3.',
    'align_1.': 'deconv_3.',
    'align_2.conv_offset.': 'off2d.',
    'align_2.': 'dconv.',
    'to_rgb.': 'recon_lr.',
    'reconstruct.0.conv.': 'fea_ex.0.',
    'reconstruct.1.': 'recon_layer.',
    'reconstruct.2.upsample_conv.': 'up.0.0.',
    'reconstruct.3.upsample_conv.': 'up.0.2.',
    'reconstruct.4.': 'up.1.',
}
RENAMED: dict[str, dict[str, str]] = {
    # BasicSR's layer has the same arithmetic under another name.
    'MSDTGP': {'alignment1.dcnpack.conv_offset.': 'alignment1.dcnpack.conv_offset_mask.'},
    # The authors' code also knows the network in two parts.
    'TDAN': {'align_net.': '', 'rec_net.': '', **_TDAN_MMAGIC},
    'RBPN': {},
    'SOFVSR': {},
    'DUF': {},
    'EDVR': {},
    'BasicVSR': {},
    'IconVSR': {},
    'BasicVSRPlusPlus': {},
}


def from_official(arch: str, state_dict: Mapping) -> dict[str, Tensor]:
    """Turn the original checkpoint's keys into ours.

    Args:
        arch: name of the network in the registry, e.g. ``MSDTGP``.
        state_dict: the original's, with or without wrappers (``params_ema``, ``params``, ``state_dict``, one in
            another) and prefixes (``module.``, ``generator.``, one after another).

    Returns:
        A state dict for ``load_state_dict``; tensors are shared, not copied.

    Raises:
        WeightsError: the network's original names are not known, this is not a state dict, or two of its keys are
            one of ours.
    """
    if arch not in RENAMED:
        raise WeightsError(f'{arch}: the original key names are known for {", ".join(RENAMED)} only')
    state_dict = unwrap(state_dict)
    check_state_dict(state_dict)
    ours: dict[str, Tensor] = {}
    for key, value in state_dict.items():
        our_key = _our_key(arch, key)
        if our_key in ours:
            raise WeightsError(f'two keys of this checkpoint are {our_key}, one of them {key}: it holds more than '
                               'one network; save the one that is wanted')
        ours[our_key] = value
    return ours


def unwrap(checkpoint: Mapping) -> Mapping:
    """The state dict in a checkpoint; EMA weights if there are any. What has no wrapper is given back as it is."""
    for _ in range(DEEPEST_WRAPPING):
        wrapper = next((name for name in WRAPPERS if isinstance(checkpoint.get(name), Mapping)), None)
        if wrapper is None:
            break
        checkpoint = checkpoint[wrapper]
    return checkpoint


def _our_key(arch: str, key: str) -> str:
    while prefix := next((prefix for prefix in PREFIXES if key.startswith(prefix)), None):
        key = key.removeprefix(prefix)
    for theirs, ours in RENAMED[arch].items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs)
    return key
