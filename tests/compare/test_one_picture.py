"""A published table has no mAP of compressed pictures, but the size of one of them."""

from __future__ import annotations

import html
import json

from testbed.compare import beside_one_picture
from testbed.run import run


def test_credibility_18_a_jpeg_of_the_whole_picture_beats_the_widest_points_on_bytes(
    world, tmp_path
):
    """Quality 95: 404,049 bytes, against 405,504 at α = 0.916 and 442,368 at α = 1."""
    change = "clients.0.ladder", {"widths": [0.83, 0.916, 1.0], "modes": ["split", "skip"]}
    policies = {"widest": {"kind": "fixed"}, "adaptive": {"kind": "goodput"}}
    done = run(world(*change, "policies", policies, "duration_s", 2), tmp_path)
    page = (done / "report.html").read_text(encoding="utf-8")
    ladder = json.loads((done / "provenance.json").read_text(encoding="utf-8"))["ladders"]
    said = beside_one_picture(ladder["camera"], 404_049)

    assert said.startswith("One stock photo of the detector's size is a JPEG of 404,049 bytes")
    assert "beats α = 0.916 at 8 bit (405,504 bytes), α = 1 at 8 bit (442,368 bytes)" in said
    assert "0.83" not in said  # 368,640 bytes
    assert "What mAP it would have is not published" in said
    assert html.escape(said) in page
    assert "more than any split point" in beside_one_picture(ladder["camera"][:2], 404_049)
