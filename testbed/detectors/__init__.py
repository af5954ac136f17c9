"""The split detectors: published figures, networks, and the bytes between their two halves.

| module | holds |
|---|---|
| `published`, `table_file` | what the paper and its code report, as tables |
| `configurations` | every network by name, as plain data |
| `slimmable` | layers that run at several widths, and copies of one width |
| `compressors`, `efficientdet`, `rcnn`, `split` | the networks |
| `quantise`, `entropy`, `payload` | bottleneck to bytes and back; numpy only |
| `pair` | `encode(image, point) -> bytes` and `decode(bytes) -> Detections` |
| `deploy`, `onnx_graph` | the device's side, ready to run, in torch or ONNX Runtime |
| `macs`, `shown` | what a network costs, and what a terminal says of it |
| `weights`, `outside` | our own files, and what others trained |

torch and its friends come with the extra `detect`, and nothing here imports them before it is used.
"""
