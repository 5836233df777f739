"""The resources of the computer, one file each."""
