"""What a server answers to questions about files is data: odd lists and archives end in words, or are nothing."""

import base64
import contextlib
import io
import re
import tarfile
from pathlib import PurePosixPath

import pytest

from hpcbrew.errors import TransportError
from hpcbrew.transports import base
from hpcbrew.transports.remote_shell import RemoteShell


class Answers(RemoteShell):
    """A line on which everything is answered so."""

    def __init__(self, out: bytes, err: bytes = b"", status: int = 0) -> None:
        super().__init__("cluster")
        self.answer = (out, err, status)

    def close(self) -> None: ...

    def _connect(self) -> None: ...

    def _channel(self, command, stdin, output, idle_timeout):
        out, err, status = self.answer
        encoded = re.search(r"echo (\S+) \| base64", command)
        script = base64.b64decode(encoded[1]).decode(errors="replace") if encoded else command
        mark = re.search(r"--\w{16}--", script)[0].encode()
        output.out.extend(b"\n1 %b\n%b%b" % (mark, out, mark))
        output.err.extend(b"%b\n%b%b %d" % (mark, err, mark, status))
        return 0


FOLDER = PurePosixPath("/scratch/runs/a")


@pytest.mark.parametrize(
    "out",
    [
        *(b"12", b"x y\0", b"12 ../../.bashrc\0", b"12 /etc/passwd\0", b"12 a/../../b\0", b"-1 a\0", b"1e9 a\0"),
        *(b"12 \0", b"9" * 5000 + b" a\0", b"\xd9\xa3 a\0"),
    ],
)
def test_a_list_that_is_none_is_told(out: bytes) -> None:
    with pytest.raises(TransportError, match="is not a row of a list of its files"):
        Answers(out).sizes(FOLDER)


def test_names_of_any_bytes_come_and_go_as_they_are() -> None:
    (name,) = Answers(b"3 caf\xe9\n\xe2\x80\xa8 x\0").sizes(FOLDER)
    assert bytes(name) == b"caf\xe9\n\xe2\x80\xa8 x"
    assert Answers(b"b\xff\0a\0").names(FOLDER) == ["a", "b\udcff"]
    assert Answers(b"data").read(FOLDER / name) == b"data"


@pytest.mark.parametrize("out", [b"../x\0", b"a/b\0", b"..\0"])
def test_a_name_that_leaves_its_folder_is_told(out: bytes) -> None:
    with pytest.raises(TransportError, match="is not a name in a list of its files"):
        Answers(out).names(FOLDER)


@pytest.mark.parametrize("out", [b"relative", b"/a\nb", b"/a\x1b[2J", b"/\xff", b""])
def test_a_folder_that_is_none_is_told(out: bytes) -> None:
    with pytest.raises(TransportError, match="this is not a folder"):
        Answers(out).root("$SCRATCH")


def test_no_more_is_read_than_was_asked_for() -> None:
    assert Answers(b"x" * 100).read(FOLDER, 0, 10) == b"x" * 10


def tar(*members: tarfile.TarInfo, **how: object) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", **how) as archive:  # type: ignore[call-overload]
        for member in members:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
    return made.getvalue()


def member(name: str, size: int = 0, **values: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    for key, value in values.items():
        setattr(made, key, value)
    return made


A, B = PurePosixPath("/a"), PurePosixPath("/b")


def test_links_in_an_archive_lead_nowhere() -> None:
    links = [member("/a", type=kind, linkname=to) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) for to in ("/a", "/x")]
    assert Answers(tar(*links, member("/b", 3))).read_all([A, B]) == [None, b"xxx"]


def records(archive: bytes) -> list[bytes | None]:
    """What is read of it; nothing where it is refused in words."""
    with contextlib.suppress(TransportError):
        return Answers(archive).read_all([A, B])
    return [None, None]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"\0f 99999999 /a\0", base.too_large(99999999)),
        (b"find: noise\n\0f 3 /a\0\0p 0 /x\0", base.NOT_READABLE),
        (b"\0d 4096 /a\0tar: noise", base.NO_FILE),
        (b"\0f " + b"9" * 500 + b" /a\0\0f /a\0", None),
    ],
)
def test_what_is_no_record_is_told_of(said: bytes, found: object) -> None:
    assert Answers(tar(member("/b", 3)), said).read_all([A, B]) == [found, b"xxx"]


def test_a_file_with_holes_is_no_record() -> None:
    holes = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**60)}
    archive = tar(member("/a", 512, pax_headers=holes), member("/b", 1), format=tarfile.PAX_FORMAT)
    assert records(archive)[0] in (None, b"x" * 512)


@pytest.mark.parametrize("cut", range(1, 3000, 137))
def test_an_archive_that_was_cut_or_changed_gives_files_or_words(cut: int) -> None:
    whole = tar(member("/a", 700), member("/b", 3, pax_headers={"mtime": "1.5"}), format=tarfile.PAX_FORMAT)
    for broken in (whole[:cut], whole[:cut] + b"\xff" * 7 + whole[cut + 7 :], b"\x1f\x8b" + whole[cut:]):
        assert len(records(broken)) == 2
