"""The law of shards: together they are everything, no photo is in two, and each photo is on its own."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facesearch.errors import UsageError
from facesearch.shards import Shard
from facesearch.visible import visible

names = st.binary(min_size=1, max_size=12).filter(lambda name: not {0, ord("/")} & set(name))
paths = st.lists(names, min_size=1, max_size=4).map(b"/".join)
counts = st.integers(1, 40)
endings = st.sampled_from([b".jpg", b".JPG", b".CR2", b".mov", b".xmp", b".jpg.xmp", b".heic", b".x3f", b".MP.jpg"])


def shards_of(path: bytes, count: int) -> list[int]:
    return [number for number in range(1, count + 1) if Shard(number, count).has(path)]


@given(paths, counts)
def test_every_path_is_in_exactly_one_shard(path: bytes, count: int) -> None:
    assert len(shards_of(path, count)) == 1


@given(st.sets(paths), counts)
def test_shards_divide_any_tree(tree: set[bytes], count: int) -> None:
    parts = [{path for path in tree if Shard(number, count).has(path)} for number in range(1, count + 1)]
    assert set().union(*parts) == tree
    assert sum(map(len, parts)) == len(tree)


@given(st.sets(paths), st.sets(paths), counts)
def test_a_shard_does_not_depend_on_other_files(tree: set[bytes], more: set[bytes], count: int) -> None:
    shard = Shard(1, count)
    assert {path for path in tree if shard.has(path)} == {path for path in tree | more if shard.has(path)} & tree


@given(paths, counts)
def test_one_more_shard_moves_photos_only_there(path: bytes, count: int) -> None:
    (before,), (after,) = shards_of(path, count), shards_of(path, count + 1)
    assert after in (before, count + 1)


@given(
    st.lists(names, max_size=3), st.from_regex(rb"[A-Z]{1,4}[_ ][0-9]{1,4}", fullmatch=True), endings, endings, counts
)
def test_files_of_one_shot_stay_together(
    folders: list[bytes], stem: bytes, one: bytes, other: bytes, count: int
) -> None:
    assert shards_of(os.path.join(*folders, stem + one), count) == shards_of(
        os.path.join(*folders, stem + other), count
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a/IMG_1.jpg", b"b/IMG_1.jpg"),
        (b"IMG_1.jpg", b"img_1.jpg"),
        (b"2019-07-03 12.30.45.jpg", b"2019-07-03 12.30.46.jpg"),
        (b"frame.0001.jpg", b"frame.0002.jpg"),
        (b"Dr. Berg 1.jpg", b"Dr. Berg 2.jpg"),
        (b".a", b".b"),
    ],
)
def test_other_photos_are_divided(one: bytes, other: bytes) -> None:
    assert shards_of(one, 10_000) != shards_of(other, 10_000)


def test_shards_are_of_about_equal_size() -> None:
    tree = [b"%d/IMG_%04d.JPG" % (year, number) for year in range(2000, 2020) for number in range(500)]
    sizes = Counter(shards_of(path, 10)[0] for path in tree)
    assert sorted(sizes) == list(range(1, 11))
    assert all(abs(size - 1000) < 150 for size in sizes.values())  # five standard deviations


@pytest.mark.parametrize(
    ("path", "shards"),
    [
        (b"IMG_1.JPG", (2, 3, 6, 95)),
        (b"2019/07/IMG_0001.CR2", (2, 2, 2, 50)),
        (b"2019-07-03 12.30.45.jpg", (1, 1, 5, 5)),
        ("\u00c4rger/K\u00f6ln.png".encode(), (2, 2, 2, 2)),
        (b"\xff/\xfe.tif", (2, 2, 8, 44)),
    ],
)
def test_the_rule_never_changes(path: bytes, shards: tuple[int, ...]) -> None:
    """If this fails, archives that are divided already would be divided anew: make the rule what it was."""
    assert tuple(shards_of(path, count)[0] for count in (2, 3, 10, 97)) == shards


@given(st.integers(1, 10_000), st.integers(0, 9_999))
def test_a_text_comes_back(count: int, rest: int) -> None:
    shard = Shard(rest % count + 1, count)
    assert Shard.of(str(shard)) == shard
    assert shard.is_all == (count == 1)


def test_the_whole_folder() -> None:
    assert Shard.of("all") == Shard.of("1/1") == Shard()
    assert Shard().has(b"anything.jpg")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0/10", "there is no number 0 of 10; write 1/10 to 10/10"),
        ("11/10", "there is no number 11 of 10; write 1/10 to 10/10"),
        ("1/0", "a folder has 1 to 10,000 shards; write the third of ten as 3/10"),
        ("1/10001", "a folder has 1 to 10,000 shards; write the third of ten as 3/10"),
        *[
            (text, "not a shard; write the third of ten as 3/10, or all for the whole folder")
            for text in (
                "a/b",
                "3",
                "",
                "3/",
                "/10",
                "-1/10",
                "3/10/2",
                " 3/10",
                "3/10\n",
                "\u0663/10",
                "All",
                3,
                None,
                b"3/10",
            )
        ],
    ],
)
def test_invalid_shards(text: object, why: str) -> None:
    with pytest.raises(UsageError) as caught:
        Shard.of(text)
    assert str(caught.value) == f"shard {visible(str(text))}: {why}"
    assert caught.value.values["option"] == "shard"
