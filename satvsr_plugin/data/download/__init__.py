"""A data set from Zenodo onto the disk: list of files, resumable transfer, verification, safe unpacking."""
