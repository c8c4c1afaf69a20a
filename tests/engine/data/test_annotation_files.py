import pytest

from engine.data import annotation_files
from engine.data.annotation_files import Box
from engine.errors import DataError

LABELS = {"cat": 3, "dog": 5}
XML = """<annotation><size><height>50</height><width>100</width></size>
<object><name>cat</name><difficult>1</difficult><bndbox><xmin>10</xmin><ymin>5</ymin><xmax>60</xmax><ymax>45</ymax>
</bndbox></object><object><name>dog</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>100</xmax><ymax>50</ymax></bndbox>
</object></annotation>"""
JSON = """{"image": {"height": 50, "width": 100}, "annotation": [
{"category_id": "cat", "bbox": [10, 5, 50, 40], "iscrowd": 1}, {"category_id": "dog", "bbox": [0, 0, 100, 50]}]}"""
TXT = "3 10 5 60 45\n\n5 0 0 100 50\n"


def read(tmp_path, kind, content, shape=(25, 25)):
    file = tmp_path / f"a.{kind}"
    file.write_text(content, encoding="utf-8")
    return annotation_files.read(file, kind, shape, LABELS)


@pytest.mark.parametrize(
    ("kind", "content", "difficult", "shape"),
    [("xml", XML, True, (50, 100)), ("json", JSON, True, (50, 100)), ("txt", TXT, False, (25, 25))],
)
def test_boxes_are_read_in_pixels(tmp_path, kind, content, difficult, shape):
    boxes, said = read(tmp_path, kind, content)
    assert boxes == [Box(3, 10, 5, 60, 45, difficult), Box(5, 0, 0, 100, 50)]
    assert said == shape


def test_boxes_are_grouped_by_class_as_parts_of_the_picture():
    first, second = annotation_files.groups([Box(5, 0, 0, 8, 4), Box(3, 2, 1, 4, 2, True), Box(5, 4, 2, 8, 4)], (4, 8))
    assert (first.group_label, [each.instance_id for each in first.annotation]) == (5, [0, 1])
    box = second.annotation[0].bbox
    assert (box.xmin, box.ymin, box.xmax, box.ymax, box.difficult) == (0.25, 0.25, 0.5, 0.5, True)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("xml", "<annotation>", "is not XML"),
        ("xml", "<html/>", "is XML of <html>, and <annotation> is needed"),
        ("xml", "<annotation><object><name>cat</name></object></annotation>", 'an object "cat" without <bndbox>'),
        ("xml", XML.replace("cat", "cow"), 'a box of class "cow", which is not in the label map'),
        ("xml", XML.replace("60", "sixty"), "has 'sixty' where a number is needed"),
        ("json", "{", "is not JSON"),
        ("json", "[]", 'is JSON without an "annotation" list'),
        ("json", '{"annotation": [{"bbox": [1, 2]}]}', 'is JSON without an "annotation" list'),
        ("json", '{"annotation": [], "image": {"height": Infinity, "width": 1}}', "has inf, which cannot be"),
        ("txt", "1 2 3", "line 1 has 3 words"),
        ("json", '{"annotation": [{"bbox": [1e9999, 2, 3, 4], "category_id": 1}]}', "has inf, which cannot be a pixel"),
        ("json", f'{{"annotation": [{{"bbox": [1{"0" * 400}, 2, 3, 4]}}]}}', "where a number is needed"),
        ("json", f'{{"annotation": [{{"bbox": [{"[" * 900}{"]" * 900}, 2, 3, 4]}}]}}', r"\[\.\.\.\]+ where a number"),
        (
            "json",
            '{"annotation": [{"bbox": [1, 2, 3, 4], "category_id": [1]}]}',
            'is JSON without an "annotation" list',
        ),
        ("txt", "1 nan 3 4 5", "has 'nan' where a number is needed"),
        ("txt", "1 2 1_000 4 5", "has '1_000' where a number is needed"),
        ("txt", "1 2 30000000000 4 5", "cannot be a pixel"),
    ],
)
def test_what_is_no_such_file_is_told(tmp_path, kind, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, kind, content)


def test_a_label_map_gives_numbers(tmp_path):
    file = tmp_path / "map"
    file.write_text('item { name: "none" label: 0 display_name: "background" } item { name: "cat" label: 3 }')
    assert annotation_files.read_label_map(file) == {"none": 0, "cat": 3}
    file.write_text('item { name: "cat" label: 0 } item { name: "cat" label: 3 }')
    with pytest.raises(DataError, match="the name 'cat' is given twice"):
        annotation_files.read_label_map(file, check=True)


def test_odd_boxes_are_told_of():
    assert list(annotation_files.complaints([Box(1, 0, 0, 5, 5), Box(1, 3, 0, 2, 2)], (4, 4), (4, 6))) == [
        "inconsistent image width.",
        "bounding box exceeds image boundary.",
        "bounding box irregular.",
    ]


def test_sizes_of_pictures_of_any_name(tmp_path):
    (tmp_path / "sizes").write_bytes(b"caf\xe9 100 200\n\nb 3 4\r\n")
    names, sizes = annotation_files.read_sizes(tmp_path / "sizes")
    assert (names, sizes.tolist()) == (["caf\udce9", "b"], [[100, 200], [3, 4]])


@pytest.mark.parametrize("line", ["b 3", "b 3 4 5", "b 3 0", "b -3 4", "b 3 1_000", "b 3 99999999999", "b 3 four"])
def test_a_line_without_a_size_is_named(tmp_path, line):
    (tmp_path / "sizes").write_text(f"a 1 2\n{line}\n")
    with pytest.raises(DataError, match=r"sizes:2: 'b .* is not a name, a height and a width"):
        annotation_files.read_sizes(tmp_path / "sizes")
