"""The folder of a training run: its identity, its log, its record."""
