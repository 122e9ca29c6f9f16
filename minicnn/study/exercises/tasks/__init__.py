"""One exercise, one file: `EXERCISE`, with the mistakes that people make in it."""
