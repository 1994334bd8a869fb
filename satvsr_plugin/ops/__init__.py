"""Operators below the networks: modulated deformable convolution and bicubic resampling."""
