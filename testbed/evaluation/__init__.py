"""How well a detector detects: COCO's mAP, per width and bits, over real payloads."""
