"""Statements of lectures as experiments: what was measured, as a table, a picture and a verdict.

Training is done elsewhere (`minicnn experiment`); here is what the measurements say.
"""
