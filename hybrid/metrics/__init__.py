"""How good detections are: COCO's average precision, and video metrics."""
