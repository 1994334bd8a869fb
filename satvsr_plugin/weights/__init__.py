"""Checkpoints: ours and other programs', read without running code, and told in the names of our networks.

``files`` reads, writes and loads; ``official`` renames the keys of original checkpoints; ``arguments`` reads a
network's shape back from its weights; ``pickled_module`` reads networks that were saved whole; ``conversion`` puts
these together.
"""

from satvsr_plugin.weights.arguments import arguments_of
from satvsr_plugin.weights.conversion import Conversion, convert, load_original
from satvsr_plugin.weights.files import compare_keys, crc32_of, load_checkpoint, load_into, save_checkpoint
from satvsr_plugin.weights.official import from_official
from satvsr_plugin.weights.pickled_module import load_pickled_module

__all__ = ['Conversion', 'arguments_of', 'compare_keys', 'convert', 'crc32_of', 'from_official', 'load_checkpoint',
           'load_into', 'load_original', 'load_pickled_module', 'save_checkpoint']
