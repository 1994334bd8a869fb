"""Convert an original checkpoint to a file that BasicSR's path.pretrain_network_g loads.

Example:
    python scripts/convert_weights.py --arch MSDTGP 4x_MSDTGP_epoch_46.pth msdtgp_x4.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

from satvsr_plugin.archs import MSDTGP
from satvsr_plugin.errors import WeightsError, run_main
from satvsr_plugin.weights import arguments_of, compare_keys, from_official, load_checkpoint, save_checkpoint

ARCHS = {'MSDTGP': MSDTGP}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', choices=ARCHS, default='MSDTGP', help='the network (default: %(default)s)')
    parser.add_argument('input', type=Path, help='the original .pth, with or without DataParallel keys')
    parser.add_argument('output', type=Path, help='the file to write; its weights are under the key "params"')
    parser.add_argument('--overwrite', action='store_true', help='replace the output if it exists')
    args = parser.parse_args()
    if args.output.exists() and not args.overwrite:
        raise WeightsError(f'{args.output} exists; choose another name or add --overwrite')

    checkpoint = load_checkpoint(args.input)
    try:
        state_dict = from_official(args.arch, checkpoint)
        arguments = arguments_of(args.arch, state_dict)
    except WeightsError as error:
        raise WeightsError(f'{args.input}: {error}') from error
    faults = compare_keys(ARCHS[args.arch](**arguments), state_dict, show=20)
    if faults:
        raise WeightsError(f'{args.input} does not fit {args.arch}; nothing was written:\n  ' + '\n  '.join(faults))
    save_checkpoint(args.output, {'params': state_dict})
    print(f'{args.output}: {len(state_dict)} tensors, {sum(t.numel() for t in state_dict.values()):,} parameters; '
          'no key is missing or left over. In the option file:\n'
          f'network_g:\n  type: {args.arch}\n' + '\n'.join(f'  {k}: {v}' for k, v in arguments.items()) +
          f'\npath:\n  pretrain_network_g: {args.output}')


if __name__ == '__main__':
    run_main(main)
