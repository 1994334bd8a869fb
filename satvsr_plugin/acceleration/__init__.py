"""Fast paths of networks in inference: the same results but for rounding, in less time."""
