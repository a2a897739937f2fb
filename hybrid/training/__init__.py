"""Training: configuration, loop, samples, methods, the run's folder."""
