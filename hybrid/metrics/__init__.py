"""Metrics of detections: average precision as COCO defines it, and metrics of video."""
