#!/usr/bin/env python3
"""Super-resolve a satellite video of any size and length; the same as ``basicsr infer``."""

from __future__ import annotations

import sys

from satvsr_plugin.cli import main

if __name__ == '__main__':
    main(['infer', *sys.argv[1:]])
