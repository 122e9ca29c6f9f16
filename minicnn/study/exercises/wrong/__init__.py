"""Ops with a right forward and a wrong backward, for `minicnn exercise bugs`. Never use them.

Each file stands for itself, since a learner is given a copy of it. The function has the name of the file.
"""
