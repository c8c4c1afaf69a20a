import re
from pathlib import Path

import pytest

from engine.errors import DataError
from engine.tools import front_matter

SHA1 = "9116a64c0fbe4459d18f4bb6b56d647b63920377"

FENCED = f"""---
name: A net
caffemodel: a.caffemodel
caffemodel_url: https://models.example/a.caffemodel
license: unrestricted
sha1: {SHA1}
caffe_commit: 0123e45
gist_id: ""
---

# Words
"""


def read(tmp_path: Path, text: str) -> front_matter.FrontMatter:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    return front_matter.read(tmp_path / "README.md")


@pytest.mark.parametrize("change", [str, lambda text: f"\ufeff\n{text}", lambda text: text.replace("\n", "\r\n")])
def test_yaml_between_two_lines_is_read_value_by_value(tmp_path: Path, change) -> None:
    found = read(tmp_path, change(FENCED))
    assert list(found.values) == [*front_matter.KEYS]
    assert (found.get("sha1"), found.get("caffe_commit"), found.get("gist_id")) == (SHA1, "0123e45", "")
    assert found.unknown() == []


def test_so_are_lines_below_a_heading_as_gists_have_them(tmp_path: Path) -> None:
    text = (
        '# A\n\n##Information\n\nname: of the paper: "Deep"\n\ncaffemodel: VGG_16\n\ncaffe_version: a fork\n\n'
        "## More\n\nsha1: none\n"
    )
    found = read(tmp_path, text)
    assert dict(found.values) == {"name": 'of the paper: "Deep"', "caffemodel": "VGG_16", "caffe_version": "a fork"}
    assert found.lines["caffemodel"] == 7
    assert found.unknown() == ["caffe_version"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no front matter"),
        ("# A net\n\nname: A\n", "has no front matter"),
        ("---\n---\n", "has no front matter"),
        ("---\nname: A\n", "README.md:1: front matter begins here but does not end"),
        ("---\nname: A\nlicense: see: there\n---\n", "README.md:3: .*not valid YAML.* Put quotes around"),
        ("---\nname: A\nsha1: [1, 2]\n---\n", "README.md:3: .*with one value each"),
        ("---\n- name\n---\n", "README.md:2: .*with one value each"),
        ("---\nname: A\nname: B\n---\n", "README.md:3: name is given twice"),
        ("---\nname: \x01\n---\n", "README.md:2: the front matter is not valid YAML"),
        (f"---\nname: {'[' * 500_000}\n---\n", "README.md:2: .*with one value each"),
        ("---\nname: *a\n---\n", "README.md:2: .*with one value each"),
        ("---\nsha1: 12ab\n---\n", "README.md:2: sha1: 12ab: .*40 hexadecimal digits; this has 4"),
        ("---\ncaffemodel: ../a\n---\n", "README.md:2: caffemodel: ../a: .*a file in this folder"),
        ("---\ncaffemodel: .a\n---\n", "a file in this folder"),
        (f"---\ncaffemodel: {'a' * 300}\n---\n", "a file in this folder"),
        ("---\ncaffemodel_url: file:///etc/passwd\n---\n", "README.md:2: .*a URL begins with https://"),
        ("---\ncaffemodel_url: https://a b/\n---\n", "no spaces"),
        ("---\ncaffemodel_url: https://a:b/\n---\n", "it is not a valid URL"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(tmp_path, text)


def test_a_readme_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        front_matter.read(tmp_path / "README.md")
    with pytest.raises(DataError, match="at most 1,048,576 are read"):
        read(tmp_path, "a" * (front_matter.LARGEST + 1))


def test_a_key_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    found = read(tmp_path, "---\ncafemodel: a\n---\n")
    with pytest.raises(DataError, match=re.escape('has no caffemodel. Did you mean "cafemodel"?')):
        found.need("caffemodel")
