"""What `minicnn exercise start` copies: one file for each exercise, with the backward left to write."""
