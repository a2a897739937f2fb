"""What the photos' parts, their grounds, and the values drawn for simulated scenes cost a detector that stays."""
