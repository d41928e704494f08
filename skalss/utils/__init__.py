"""Chores that know nothing of the field: tensors, seeds, checks, scaling, settings, files."""
