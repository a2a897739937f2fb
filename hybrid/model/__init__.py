"""The network: backbone, branches over time, objects."""
