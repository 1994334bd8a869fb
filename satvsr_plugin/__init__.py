"""Satellite video super-resolution for BasicSR.

Importing this package registers its networks, data sets, metrics and model in the toolbox's registries. Programs that
only prepare data set the environment variable ``SATVSR_REGISTER=0`` before: they then start at once and in a tenth of
the memory, without torch and the toolbox.
"""

from __future__ import annotations

import os
import warnings

__version__ = '0.1.0'

# `basicsr doctor` has to run, and to say what is missing, where torch or BasicSR cannot be imported.
registration_error: Exception | None = None


def _register() -> None:
    from satvsr_plugin import toolbox

    toolbox.prepare_import()
    # importing registers
    from satvsr_plugin import archs, losses, metrics, models  # noqa: F401
    from satvsr_plugin.data import jilin189_dataset  # noqa: F401

    toolbox.mend()


if os.environ.get('SATVSR_REGISTER') != '0':
    try:
        _register()
    except Exception as error:  # a broken torchvision raises RuntimeError, a missing CUDA library OSError
        registration_error = error
        warnings.warn(f'satvsr_plugin cannot be used, since an import failed: {error}. '
                      'Run "basicsr doctor" to see what to mend.', stacklevel=2)
