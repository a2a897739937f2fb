"""Fine-tuning: its data, replay, the choice of a method by cross-validation, and the search of options."""
