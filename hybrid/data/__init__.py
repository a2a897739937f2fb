"""Clips with boxes from simulated shards, COCO JSON and YOLO folders."""
