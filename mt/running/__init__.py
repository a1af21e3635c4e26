"""A run: checked, named, executed, recorded, tracked; without a terminal, so that jobs run it too."""
