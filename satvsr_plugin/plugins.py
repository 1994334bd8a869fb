"""Other packages that add networks, data sets and metrics to the toolbox's registries."""

from __future__ import annotations

from importlib import metadata

from satvsr_plugin.errors import OptionError

PLUGIN_GROUP = 'basicsr.plugins'


def load_plugins() -> None:
    """Import every installed package of the entry-point group; importing registers its networks and data sets.

    Raises:
        OptionError: a package cannot be imported.
    """
    for plugin in metadata.entry_points(group=PLUGIN_GROUP):
        try:
            plugin.load()
        except Exception as error:  # somebody else's code: anything can go wrong
            package = plugin.dist.name if plugin.dist else plugin.value
            raise OptionError(f'the plugin {plugin.name} ({plugin.value}) cannot be imported: '
                              f'{type(error).__name__}: {error}; mend it, or run: pip uninstall {package}') from error
