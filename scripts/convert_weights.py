"""Convert a checkpoint to a file that says which network it is of: BasicSR's path.pretrain_network_g loads it, and
"basicsr infer --weights" needs nothing else.

Example:
    python scripts/convert_weights.py --arch MSDTGP 4x_MSDTGP_epoch_46.pth msdtgp_x4.pth
    python scripts/convert_weights.py --arch TDAN model.pt tdan_x4.safetensors
    python scripts/convert_weights.py --half experiments/NAME/models/net_g_best.pth small.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

from satvsr_plugin.errors import OptionError, WeightsError, run_main
from satvsr_plugin.options import load_options
from satvsr_plugin.weights import convert, load_original, read_record, save_described
from satvsr_plugin.weights.conversion import ARCHS, Conversion, network_section


def main() -> None:
    args = _parse_arguments()
    if args.output.exists() and not args.overwrite:
        raise WeightsError(f'{args.output} exists; choose another name or add --overwrite')
    given = _network_of(args.opt) if args.opt else None
    checkpoint = load_original(args.input)
    try:
        network = given or read_record(checkpoint)  # what the user says comes before what the file says
        if network and args.arch not in (None, network['type']):
            raise WeightsError(f'says that it is of {network["type"]}, not {args.arch}; leave out --arch')
        conversion = convert(checkpoint, args.arch, network)
    except WeightsError as error:
        raise WeightsError(f'{args.input}: {error}\nNothing was written') from error
    save_described(args.output, conversion.state_dict, conversion.network, args.half)
    if args.arch is None and network is None:
        print(f'{args.input} fits {conversion.arch}, and no other network')
    _report(conversion, args.output)


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--arch', choices=ARCHS,
                        help='the network (default: what the checkpoint says, else the only one that the weights fit)')
    parser.add_argument('--opt', type=Path, metavar='FILE',
                        help='option file with the network_g that these weights are of (default: none), for '
                             'checkpoints that do not say it and whose weights do not tell all, such as residual')
    parser.add_argument('--half', action='store_true',
                        help='store in half precision: half the size, rounded to 11 bits (default: as they are)')
    parser.add_argument('input', type=Path, help='the original .pth or .pt, a state dict with or without prefixes or a '
                                                 'whole network; or a .safetensors')
    parser.add_argument('output', type=Path, help='the file to write: NAME.safetensors, or a .pth with the weights '
                                                  'under the key "params"')
    parser.add_argument('--overwrite', action='store_true', help='replace the output if it exists (default: refuse)')
    args = parser.parse_args()
    if args.opt and args.arch:
        parser.error('--opt says which network it is; leave out --arch')
    return args


def _network_of(option_file: Path) -> dict:
    network = load_options(option_file, []).get('network_g')
    if not isinstance(network, dict):
        raise OptionError(f'{option_file}: has no network_g')
    return network


def _report(conversion: Conversion, output: Path) -> None:
    num_parameter = sum(tensor.numel() for tensor in conversion.state_dict.values())
    print(f'{output}: {len(conversion.state_dict)} tensors, {num_parameter:,} parameters; '
          'no key is missing or left over. In the option file:\n' + network_section(conversion) +
          f'\npath:\n  pretrain_network_g: {output}')


if __name__ == '__main__':
    run_main(main)
