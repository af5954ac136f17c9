"""Every form of data set gives the same pictures and boxes; what breaks its form is named."""

from __future__ import annotations

import json

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2", reason="needs the extra `detect`")

from testbed import datasets  # noqa: E402
from testbed.datasets.dataset import DatasetError  # noqa: E402

BOXES = {"a": [("cat", 2, 3, 12, 9)], "b": [("dog", 0, 0, 20, 16), ("cat", 5, 5, 9, 12)], "c": []}


def colour(name):
    return (10, 100, 200) if name == "a" else (0, 50, 250)


def write_pictures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in BOXES:
        image = np.full((16, 20, 3), colour(name)[::-1], np.uint8)  # OpenCV writes BGR
        cv2.imwrite(str(folder / f"{name}.png"), image)


def coco(folder):
    write_pictures(folder / "images")
    names = {"cat": 17, "dog": 18}
    data = {"images": [], "annotations": [], "categories": []}
    data["categories"] = [{"id": label, "name": name} for name, label in names.items()]
    for key, (name, boxes) in enumerate(BOXES.items(), start=40):
        data["images"].append({"id": key, "file_name": f"{name}.png", "height": 16, "width": 20})
        for what, left, top, right, bottom in boxes:
            data["annotations"].append(
                {
                    "id": len(data["annotations"]) + 1, "image_id": key, "category_id": names[what],
                    "bbox": [left, top, right - left, bottom - top], "area": 7.5, "iscrowd": 0,
                }
            )  # fmt: skip
    (folder / "instances.json").write_text(json.dumps(data))
    return folder / "instances.json"


def voc(folder, nested=True):
    write_pictures(folder / "JPEGImages" if nested else folder)
    annotations = folder / "Annotations" if nested else folder
    annotations.mkdir(exist_ok=True)
    for name, boxes in BOXES.items():
        objects = "".join(
            f"<object><name>{what}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
            f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
            for what, a, b, c, d in boxes
        )
        (annotations / f"{name}.xml").write_text(
            "<annotation><filename>x.JPG</filename><size><width>20</width><height>16</height>"
            f"<depth>3</depth></size>{objects}</annotation>"
        )
    lists = folder / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("c\na\n")
    return folder


def boxes_csv(folder):
    write_pictures(folder / "images")
    rows = ["image,class,x,y,w,h"]
    for name, boxes in BOXES.items():
        rows += [f"{name}.png,{k},{a},{b},{c - a},{d - b}" for k, a, b, c, d in boxes]
        rows += [] if boxes else [f"{name}.png,,,,,"]
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    return folder / "boxes.csv"


@pytest.mark.parametrize("form", [coco, voc, lambda f: voc(f, nested=False), boxes_csv])
def test_every_form_says_the_same(form, tmp_path):
    found = datasets.load(form(tmp_path))

    assert [p.path.name for p in found] == ["a.png", "b.png", "c.png"]
    assert {(p.height, p.width) for p in found} == {(16, 20)}
    said = {
        p.path.stem: [
            (found.categories[b.label], b.x, b.y, b.x + b.width, b.y + b.height) for b in p.boxes
        ]
        for p in found
    }
    assert said == BOXES
    assert tuple(found.load(found[0])[4, 5]) == colour("a")


def test_labels_of_coco_are_its_own_and_those_of_others_count_from_one(tmp_path):
    assert dict(datasets.load(coco(tmp_path / "coco")).categories) == {17: "cat", 18: "dog"}
    assert dict(datasets.load(voc(tmp_path / "voc")).categories) == {1: "cat", 2: "dog"}
    given = datasets.load(tmp_path / "voc", classes=["bird", "dog", "cat"])
    assert [box.label for box in given[1].boxes] == [2, 3]


def test_a_split_takes_its_pictures_in_its_order(tmp_path):
    found = datasets.load(voc(tmp_path), "val")

    assert [p.path.stem for p in found] == ["c", "a"]
    assert [p.key for p in found] == [1, 2]


def test_boxes_without_an_area_are_left_out_and_counted(tmp_path):
    file = boxes_csv(tmp_path)
    file.write_text(file.read_text() + "a.png,cat,3,3,0,5\n")
    found = datasets.load(file)

    assert (found.dropped, sum(len(p.boxes) for p in found)) == (1, 3)


def clip(path, frames=5):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (32, 24))
    for k in range(frames):
        writer.write(np.full((24, 32, 3), 40 * k, np.uint8))
    writer.release()


def test_frames_of_a_clip_come_in_any_order(tmp_path):
    (tmp_path / "clips").mkdir()
    clip(tmp_path / "clips" / "one.avi")
    rows = ["clip,class,frame,x,y,w,h"] + [f"one,bird,{k},{k},1,4,4" for k in (4, 0, 2, 3)]
    (tmp_path / "boxes.csv").write_text("\n".join(rows))
    found = datasets.load(tmp_path / "boxes.csv")

    assert [p.frame for p in found] == [0, 2, 3, 4]
    assert [p.boxes[0].x for p in found] == [0, 2, 3, 4]
    for index in (0, 1, 3, 2, 0):
        shade = found.load(found[index]).mean()
        assert abs(shade - 40 * found[index].frame) < 4


def test_the_ground_truth_is_of_cocos_form(tmp_path):
    truth = datasets.load(coco(tmp_path)).ground_truth()

    assert [image["id"] for image in truth["images"]] == [40, 41, 42]
    assert truth["annotations"][0] == {
        "id": 1, "image_id": 40, "category_id": 17, "bbox": [2.0, 3.0, 10.0, 6.0], "area": 7.5,
        "iscrowd": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", r"a\.json: no JSON"),
        ("a.json", "[]", r"not COCO's form"),
        ("a.json", '{"images": []}', "KeyError: 'categories'"),
        ("a.csv", "clip,frame\n", r"a\.csv:1: lacks the columns class, h, w, x, y"),
        ("a.csv", "image,class,x,y,w,h\n", "has no rows"),
        ("a.csv", "image,class,x,y,w,h\np.png,cat,1,2,three,4\n", r"a\.csv:2: a number is none"),
        ("a.txt", "", "neither a .json of COCO"),
    ],
)
def test_what_breaks_its_form_is_named(name, text, message, tmp_path):
    (tmp_path / name).write_text(text)

    with pytest.raises(DatasetError, match=message):
        datasets.load(tmp_path / name)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        datasets.load(tmp_path / "none.json")
    with pytest.raises(DatasetError, match="no XML file"):
        datasets.load(tmp_path)
    folder = voc(tmp_path / "voc")
    with pytest.raises(DatasetError, match="no such list"):
        datasets.load(folder, "test")
    (folder / "Annotations" / "d.xml").write_text("<annotation><size/></annotation>")
    with pytest.raises(DatasetError, match="lacks size/height"):
        datasets.load(folder)
    (folder / "Annotations" / "d.xml").write_text("<annotation>")
    with pytest.raises(DatasetError, match=r"d\.xml:1: no XML"):
        datasets.load(folder)


# The four measured sets, beside the checkout where they are there.


def test_the_cards(shared):
    folder = shared / "data" / "playing_cards"
    train, val = datasets.load(folder / "train"), datasets.load(folder / "val")

    assert [len(s) for s in (train, val)] == [150, 33]
    assert [sum(len(p.boxes) for p in s) for s in (train, val)] == [271, 70]
    assert list(val.categories.values()) == ["ace", "jack", "king", "nine", "queen", "ten"]
    assert val.load(val[0]).shape == (504, 378, 3)


def test_the_blood_cells(shared):
    folder = shared / "data" / "bccd"
    train, val = datasets.load(folder, "train"), datasets.load(folder, "val")

    assert [(len(s), sum(len(p.boxes) for p in s), s.dropped) for s in (train, val)] == [
        (205, 2804, 1),
        (87, 1137, 1),
    ]


def test_the_photographs(shared):
    found = datasets.load(shared / "data" / "coco_ccby" / "instances.json")

    assert (len(found), sum(len(p.boxes) for p in found)) == (19, 84)
    assert sum(box.crowd for p in found for box in p.boxes) == 1
    for picture in found:
        assert found.load(picture).shape == (picture.height, picture.width, 3)


def test_the_flights(shared):
    found = datasets.load(shared / "data" / "drone_video" / "boxes.csv", "val")
    one = [p for p in found if p.path.stem == found[0].path.stem]

    assert len({p.path for p in found}) == 7
    assert [p.frame for p in one[:3]] == [0, 1, 2]
    assert found.load(one[0]).shape == (512, 640, 3)
    assert not np.array_equal(found.load(one[0]), found.load(one[9]))
