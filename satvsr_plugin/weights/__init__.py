"""Checkpoints: ours and other programs', read without running code, and told in the names of our networks.

``files`` and ``safetensors_files`` read, write and load; ``network_record`` is what a checkpoint says about its
network, ``building`` builds it, and ``described`` makes of such a file a network that runs; ``official`` renames the
keys of original checkpoints; ``arguments`` reads a network's shape back from its weights; ``pickled_module`` reads
networks that were saved whole; ``conversion`` puts these together.
"""

from satvsr_plugin.weights.arguments import arguments_of
from satvsr_plugin.weights.conversion import Conversion, convert, load_original
from satvsr_plugin.weights.described import (
    Weights,
    build_described,
    default_weights,
    read_weights,
    save_described,
    write_safetensors,
)
from satvsr_plugin.weights.files import compare_keys, crc32_of, load_checkpoint, load_into, save_checkpoint
from satvsr_plugin.weights.network_record import read_record, record_entries
from satvsr_plugin.weights.official import from_official
from satvsr_plugin.weights.pickled_module import load_pickled_module

__all__ = ['Conversion', 'Weights', 'arguments_of', 'build_described', 'compare_keys', 'convert', 'crc32_of',
           'default_weights', 'from_official', 'load_checkpoint', 'load_into', 'load_original', 'load_pickled_module',
           'read_record', 'read_weights', 'record_entries', 'save_checkpoint', 'save_described', 'write_safetensors']
