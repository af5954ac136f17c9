"""The split detectors: published figures, networks, and the bytes between their two halves.

| module | holds |
|---|---|
| `published`, `table_file` | what the paper and its code report, as tables |
| `configurations` | every network by name, as plain data |
| `slimmable`, `folding` | layers that run at several widths; copies of one width for deployment |
| `compressors`, `efficientdet`, `rcnn`, `split` | the networks |
| `quantise`, `entropy`, `payload` | bottleneck to bytes and back; numpy only |
| `pair` | `encode(image, point) -> bytes` and `decode(bytes) -> Detections` |
| `deploy`, `macs`, `weights` | for a device; what it costs; what was trained elsewhere |

torch and its friends come with the extra `detect`, and nothing here imports them before it is used.
"""
