"""Convolution, pooling and the way back, written out number by number, and their drawings. Notebook 00."""
