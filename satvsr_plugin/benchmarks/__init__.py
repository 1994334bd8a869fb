"""What the ``scripts/benchmark_*.py`` measure: ratios within one run, with the machine and the versions beside them."""
