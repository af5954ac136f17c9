"""effdet and timm, imported without the deprecation notes of what they import."""

from __future__ import annotations

import warnings
from typing import Any

with warnings.catch_warnings():
    # effdet compiles its losses with torch.jit when it is imported, which torch advises against.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.simplefilter("ignore", DeprecationWarning)
    import effdet
    from effdet.anchors import AnchorLabeler, Anchors, decode_box_outputs
    from effdet.efficientdet import FpnCombine, Interpolate2d
    from effdet.loss import DetectionLoss
    from timm.layers import BatchNormAct2d, DropPath
    from timm.layers.conv2d_same import Conv2dSame
    from timm.layers.pool2d_same import MaxPool2dSame
    from timm.models import register_model
    from timm.models._efficientnet_blocks import SqueezeExcite
    from timm.models.efficientnet import _gen_efficientnet

__all__ = [
    "AnchorLabeler",
    "Anchors",
    "BatchNormAct2d",
    "Conv2dSame",
    "DetectionLoss",
    "DropPath",
    "FpnCombine",
    "Interpolate2d",
    "MaxPool2dSame",
    "SqueezeExcite",
    "decode_box_outputs",
    "effdet",
]


@register_model  # type: ignore[untyped-decorator]
def testbed_efficientnet(*, pretrained: bool, **kwargs: Any) -> Any:
    """Return an EfficientNet of any width and depth with the TensorFlow conventions of padding."""
    if pretrained:
        raise ValueError("there are no weights for an EfficientNet of a size of one's own")
    kwargs.setdefault("bn_eps", 1e-3)
    kwargs.setdefault("pad_type", "same")
    make: Any = _gen_efficientnet
    return make("tf_efficientnet_b0", pretrained=False, **kwargs)
