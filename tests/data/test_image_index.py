"""Each file is read once, until it changes; an index that is damaged is made again."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pipeline import array_cache
from pipeline.data import image_index, index_entry
from pipeline.data.file_examination import ExaminedFile, Verdict
from pipeline.data.file_root import FileRoot
from pipeline.data.image_index import IndexedFiles, index_files
from pipeline.errors import PipelineError

Plant = Callable[[Path, Mapping[str, int]], Path]
LONG_AGO = 1_700_000_000 * 10**9


@pytest.fixture
def folder(tmp_path: Path, plant: Plant) -> Path:
    """Twelve photographs that were modified long ago."""
    plant(tmp_path, {"ants": 8, "bees": 4})
    for path in tmp_path.rglob("*.jpg"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return tmp_path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    names: list[str] = []
    examine = image_index.examine_file

    def record(path: str, *arguments: object) -> ExaminedFile:
        names.append(os.path.basename(path))  # noqa: PTH119
        return examine(path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_index, "examine_file", record)
    return names


def names_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))


def index(folder: Path) -> IndexedFiles:
    return index_files(FileRoot(folder), names_in(folder))


def assert_same(one: IndexedFiles, other: IndexedFiles) -> None:
    np.testing.assert_array_equal(one.verdicts, other.verdicts)
    np.testing.assert_array_equal(one.digests, other.digests)
    np.testing.assert_array_equal(one.thumbnails(), other.thumbnails())
    assert one.reasons == other.reasons


def test_a_second_start_reads_no_file(folder: Path, read: list[str]) -> None:
    first = index(folder)
    assert len(read) == 12
    read.clear()
    assert_same(index(folder), first)
    assert read == []


def test_other_contents_with_the_same_size_and_time_are_not_read(folder: Path) -> None:
    before = index(folder)
    path = folder / names_in(folder)[0]
    path.write_bytes(bytes(path.stat().st_size))
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    assert_same(index(folder), before)


@pytest.mark.parametrize("change", ["time", "size"])
def test_only_a_changed_file_is_read_again(folder: Path, read: list[str], change: str) -> None:
    before = index(folder)
    read.clear()
    path = folder / names_in(folder)[3]
    content = bytearray(path.read_bytes())
    if change == "size":
        content += b"\0"
    else:
        content[-1] ^= 1
    path.write_bytes(content)
    time = LONG_AGO + (change == "time")
    os.utime(path, ns=(time, time))
    after = index(folder)
    assert read == [path.name]
    assert np.flatnonzero((after.digests != before.digests).any(axis=1)).tolist() == [3]
    read.clear()
    assert_same(index(folder), after)
    assert read == []


def test_only_a_new_file_is_read(folder: Path, read: list[str]) -> None:
    before = index(folder)
    read.clear()
    shutil.copy2(folder / names_in(folder)[5], folder / "ants" / "0.jpg")
    after = index(folder)
    assert read == ["0.jpg"]
    np.testing.assert_array_equal(after.digests[1:], before.digests)
    np.testing.assert_array_equal(after.thumbnails()[0], before.thumbnails()[5])
    np.testing.assert_array_equal(after.thumbnails()[1:], before.thumbnails())


def test_a_removed_file_is_forgotten_when_another_is_read(folder: Path, read: list[str]) -> None:
    index(folder)
    removed, changed = (folder / name for name in names_in(folder)[:2])
    content = removed.read_bytes()
    removed.unlink()
    changed.touch()
    index(folder)
    read.clear()
    removed.write_bytes(content)
    os.utime(removed, ns=(LONG_AGO, LONG_AGO))
    os.utime(changed, ns=(LONG_AGO, LONG_AGO))
    index(folder)
    assert sorted(read) == sorted([removed.name, changed.name])


def test_files_that_another_recipe_lists_stay_in_the_index(folder: Path, read: list[str]) -> None:
    names = names_in(folder)
    everything = index_files(FileRoot(folder), names)
    for some in (names[:3], names[6:1:-2]):
        (folder / some[0]).touch()
        os.utime(folder / some[0], ns=(LONG_AGO + 1, LONG_AGO + 1))
        read.clear()
        indexed = index_files(FileRoot(folder), some)
        assert len(read) == 1
        numbers = [names.index(name) for name in some]
        np.testing.assert_array_equal(indexed.digests, everything.digests[numbers])
        np.testing.assert_array_equal(indexed.thumbnails(), everything.thumbnails()[numbers])
    read.clear()
    assert_same(index_files(FileRoot(folder), names), everything)
    assert read == []


def test_a_file_that_was_just_modified_is_read_again(folder: Path, read: list[str]) -> None:
    path = folder / names_in(folder)[0]
    path.touch()
    index(folder)
    read.clear()
    index(folder)
    assert read == [path.name]


def test_what_is_no_image_is_not_read_again_either(folder: Path, read: list[str]) -> None:
    (folder / "ants" / "notes.txt").write_text("six legs")
    (folder / "ants" / "torn.jpg").write_text("no image")
    for path in folder.glob("ants/[nt]*"):
        os.utime(path, ns=(LONG_AGO, LONG_AGO))
    first = index(folder)
    numbers = [names_in(folder).index(f"ants/{name}") for name in ("notes.txt", "torn.jpg")]
    assert first.verdicts[numbers].tolist() == [Verdict.NO_IMAGE, Verdict.UNREADABLE]
    assert len(first.thumbnails()) == 12
    read.clear()
    assert_same(index(folder), first)
    assert read == []


def test_a_file_that_cannot_be_opened_is_tried_again(folder: Path, read: list[str]) -> None:
    link = folder / "ants" / "link.jpg"
    link.symlink_to(folder / "absent.jpg")
    names = names_in(folder)
    assert index_files(FileRoot(folder), names).reasons == {
        names.index("ants/link.jpg"): "No such file or directory"
    }
    read.clear()
    index_files(FileRoot(folder), names)
    assert read == ["link.jpg"]
    (folder / "absent.jpg").write_bytes((folder / names[0]).read_bytes())
    assert index_files(FileRoot(folder), names).reasons == {}


@pytest.mark.parametrize("name", ["names", "records", "reasons", "thumbnails", "entry.json"])
@pytest.mark.parametrize("position", [0.0, 0.3, 0.6, 0.999])
def test_a_damaged_index_is_made_again(
    folder: Path, cache: Path, name: str, position: float
) -> None:
    (folder / "ants" / "torn.jpg").write_text("no image")
    first = index(folder)
    first = dataclasses.replace(first, _thumbnails=first._thumbnails.copy())
    (file,) = cache.glob(f"*/{name}*")
    content = bytearray(file.read_bytes())
    content[int(position * len(content))] ^= 4
    file.write_bytes(content)
    assert_same(index(folder), first)
    assert_same(index(folder), first)


@pytest.mark.parametrize("name", ["names.npy", "entry.json"])
def test_an_index_without_one_of_its_files_is_made_again(
    folder: Path, cache: Path, name: str
) -> None:
    first = index(folder)
    next(cache.glob(f"*/{name}")).unlink()
    assert_same(index(folder), first)


@pytest.mark.parametrize("dependency", ["Pillow", "HEIC", "source"])
def test_an_index_of_another_version_is_made_again(
    folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch, dependency: str
) -> None:
    first = index(folder)
    others = {**index_entry._dependencies(), dependency: "another"}
    monkeypatch.setattr(index_entry, "_dependencies", lambda: others)
    read.clear()
    assert_same(index(folder), first)
    assert len(read) == 12


def test_an_interruption_keeps_what_was_read(
    folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_index, "_FILES_PER_TASK", 1)
    examine = image_index.examine_file
    names = names_in(folder)

    def interrupt(path: str, *arguments: object) -> ExaminedFile:
        if path.endswith(names[5]):
            raise KeyboardInterrupt
        return examine(path, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(image_index, "examine_file", interrupt)
        with pytest.raises(KeyboardInterrupt):
            index(folder)
    read.clear()
    complete = index(folder)
    assert sorted(read) == sorted(Path(name).name for name in names[5:])
    array_cache.clear()
    assert_same(index(folder), complete)


def test_two_processes_read_the_files_once(folder: Path, cache: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.data import image_index\n"
        "from pipeline.data.file_root import FileRoot\n"
        "examine, count = image_index.examine_file, []\n"
        "image_index.examine_file = lambda *a: count.append(1) or examine(*a)\n"
        "files = image_index.index_files(FileRoot(Path(sys.argv[1])), sys.argv[2:])\n"
        "print(len(count), files.digests.tobytes().hex())\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, folder, *names_in(folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [process.communicate()[0].split() for process in processes]
    assert sorted(int(count) for count, _ in answers) == [0, 0, 12]
    assert {digests for _, digests in answers} == {index(folder).digests.tobytes().hex()}


def test_images_that_are_read_are_also_decoded(folder: Path) -> None:
    pixels: dict[int, np.ndarray] = {}
    decoding = image_index.Decoding((8, 6), "crop")
    names = names_in(folder)
    for _ in range(2):
        index_files(FileRoot(folder), names, decoding=decoding, on_pixels=pixels.__setitem__)
        assert sorted(pixels) == list(range(12))
    assert {image.shape for image in pixels.values()} == {(8, 6, 3)}


def test_the_index_is_listed_with_the_cache(folder: Path) -> None:
    index(folder)
    (entry,) = array_cache.list_entries()
    assert (entry.kind, entry.label) == ("index", f"the index of {folder}")
    assert entry.size > 12 * 768


def test_any_name_is_kept(folder: Path, read: list[str]) -> None:
    original = folder / names_in(folder)[0]
    for name in ("two\nlines.jpg", os.fsdecode(b"f\xfcnf.jpg"), "🐜.jpg"):
        shutil.copy2(original, folder / "ants" / name)
    first = index(folder)
    read.clear()
    assert_same(index(folder), first)
    assert read == []


def test_a_name_that_no_file_can_have_is_unreadable(folder: Path) -> None:
    assert index_files(FileRoot(folder), ["a\0b.jpg"]).verdicts.tolist() == [Verdict.UNREADABLE]


def test_no_files_have_an_empty_index(folder: Path) -> None:
    files = index_files(FileRoot(folder), [])
    assert files.thumbnails().shape == (0, 16, 16, 3)
    assert files.digests.shape == (0, 32)


def test_a_full_disk_is_an_error(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index_entry.np, "save", fail)
    with pytest.raises(PipelineError) as refused:
        index(folder)
    assert str(refused.value) == (
        f"Cannot write to the cache {cache}: No space left on device. Free disk space (pipeline "
        "cache --clear), or set PIPELINE_CACHE to another directory."
    )
