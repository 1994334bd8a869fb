"""Checks a whole option file before training or testing creates anything.

The toolbox reads options as it goes: a missing key ends a run after its folders were made, an unknown one is never
noticed. Here every section is checked against what will read it: the toolbox's own code (:mod:`.schema`), the
options that data sets and models declare (``options_type``, ``train_options``, ``val_options``: pydantic models),
and the signatures of networks, losses and metrics. Of classes that declare nothing only what is certain is checked.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

from satvsr_plugin.errors import OptionError
from satvsr_plugin.option_check.data import data_problems
from satvsr_plugin.option_check.general import general_problems, model_class, path_problems
from satvsr_plugin.option_check.networks import check_networks
from satvsr_plugin.option_check.training import train_problems
from satvsr_plugin.option_check.validation import val_problems

__all__ = ['check_options']


def check_options(opt: dict[str, Any], *, is_train: bool, file: str | Path) -> None:
    """Check the options of one file; creates nothing and leaves ``opt`` as it is.

    Args:
        opt: the options as :func:`satvsr_plugin.options.load_options` returns them.
        is_train: whether they are for training or for testing.
        file: the option file, for the messages.

    Raises:
        OptionError: lists everything that is wrong, one ``file: section.key: what`` a line.
    """
    opt = deepcopy(opt)  # data sets are built from it, which may change it
    model = model_class(opt)
    problems_of_networks, spec = check_networks(opt)
    problems = [
        *general_problems(opt, is_train, model),
        *path_problems(opt, is_train),
        *problems_of_networks,
        *data_problems(opt, is_train, spec),
        *(train_problems(opt, model, spec) if is_train else []),
        *val_problems(opt, is_train, model),
    ]
    if problems:
        # A mistake may show twice, e.g. in the toolbox's part of a section and in the data set's own.
        raise OptionError('\n'.join(dict.fromkeys(f'{file}: {item.where}: {item.what}' for item in problems)))
