"""Data sets on disk or in a bucket: storage, format, export, check, contact sheet."""
