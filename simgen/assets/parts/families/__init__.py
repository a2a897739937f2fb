"""A file for each family of parametric parts."""
