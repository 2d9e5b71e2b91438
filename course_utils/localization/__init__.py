"""Where things are: boxes and their losses, windows, proposals, regression, parts. Notebook 04."""
