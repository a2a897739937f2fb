"""The network: backbone, parts over time, objects."""
