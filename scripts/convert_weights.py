"""Convert an original checkpoint to a file that BasicSR's path.pretrain_network_g loads.

Example:
    python scripts/convert_weights.py --arch MSDTGP 4x_MSDTGP_epoch_46.pth msdtgp_x4.pth
    python scripts/convert_weights.py --arch TDAN model.pt tdan_x4.pth
"""

from __future__ import annotations

import argparse
from pathlib import Path

from satvsr_plugin.errors import WeightsError, run_main
from satvsr_plugin.weights import convert, load_original, save_checkpoint
from satvsr_plugin.weights.conversion import ARCHS, network_section


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', choices=ARCHS, help='the network (default: the only one that the weights fit)')
    parser.add_argument('input', type=Path,
                        help='the original .pth or .pt: a state dict with or without prefixes, or a whole network')
    parser.add_argument('output', type=Path, help='the file to write; its weights are under the key "params"')
    parser.add_argument('--overwrite', action='store_true', help='replace the output if it exists (default: refuse)')
    args = parser.parse_args()
    if args.output.exists() and not args.overwrite:
        raise WeightsError(f'{args.output} exists; choose another name or add --overwrite')

    checkpoint = load_original(args.input)
    try:
        conversion = convert(checkpoint, args.arch)
    except WeightsError as error:
        raise WeightsError(f'{args.input}: {error}\nNothing was written') from error
    save_checkpoint(args.output, {'params': conversion.state_dict})
    if args.arch is None:
        print(f'{args.input} fits {conversion.arch}, and no other network')
    num_parameter = sum(tensor.numel() for tensor in conversion.state_dict.values())
    print(f'{args.output}: {len(conversion.state_dict)} tensors, {num_parameter:,} parameters; '
          'no key is missing or left over. In the option file:\n' + network_section(conversion) +
          f'\npath:\n  pretrain_network_g: {args.output}')


if __name__ == '__main__':
    run_main(main)
