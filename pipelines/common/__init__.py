"""What the pipelines share: command-line options, data, the record of an experiment, runs."""
