"""What each layer makes of a picture: maps, receptive fields, and why it said that. Notebooks 01, 02."""
