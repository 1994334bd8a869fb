"""Satellite video super-resolution for BasicSR.

Importing this package registers its networks, data sets, metrics and model in the toolbox's registries.
"""

from __future__ import annotations

import warnings

__version__ = '0.1.0'

# `basicsr doctor` has to run, and to say what is missing, where torch or BasicSR cannot be imported.
registration_error: Exception | None = None
try:
    from satvsr_plugin import toolbox

    toolbox.prepare_import()
    from satvsr_plugin import archs, data, metrics, models  # noqa: F401  (importing registers)

    toolbox.mend()
except Exception as error:  # a broken torchvision raises RuntimeError, a missing CUDA library OSError
    registration_error = error
    warnings.warn(f'satvsr_plugin cannot be used, since an import failed: {error}. '
                  'Run "basicsr doctor" to see what to mend.', stacklevel=2)
