"""From the folder of a line to a detector and its report, in one command: `python -m pipelines.line my_line`."""
