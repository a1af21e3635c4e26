"""The methods, one class and one file each, and what they build a run from."""
