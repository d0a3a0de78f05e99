"""Answers of the real command: verdicts, filters, exports, comparisons and faces."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from conftest import Run, start_process
from jsonschema import Draft202012Validator
from own_pack import make_pack
from PIL import Image, ImageOps
from sample_library import FACES_IN_T1, shipped_photo

from facesearch.calibration.storage import calibration_of
from facesearch.models.resolve import model_info
from facesearch.settings import EMBEDDED_THRESHOLD

SCHEMA = json.loads((files("facesearch.render") / "hit.schema.json").read_text())


def hits(answer: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.splitlines()]


def names(answer: str) -> set[str]:
    return {Path(line).name for line in answer.splitlines()}


@pytest.fixture
def me(library: Path) -> Path:
    return library / "query.jpg"


@pytest.mark.parametrize(
    "options",
    [
        (), ("-k", "30"), ("--no-threshold", "--all-faces"), ("--fold", "--no-threshold"), ("--expand",),
        ("--each",), ("--face", "all", "--no-threshold"),
    ],
)  # fmt: skip
def test_every_hit_matches_the_schema(
    facesearch: Run, library: Path, indexed: Path, options: tuple[str, ...], me: Path
) -> None:
    Draft202012Validator.check_schema(SCHEMA)
    asked = [library / "photos/portraits/bea.jpg", me]
    found = hits(
        facesearch(
            "query", *asked[: 2 if "--face" not in options else 1], "--index", indexed, "-f", "jsonl", *options
        ).stdout
    )
    assert found
    for hit in found:
        Draft202012Validator(SCHEMA).validate(hit)
    assert any(hit.get("is_query") for hit in found)
    if "--fold" in options:
        assert any("folded" in hit for hit in found)


def test_verdicts_and_expected_false_hits(facesearch: Run, indexed: Path, me: Path) -> None:
    found = hits(facesearch("query", me, "--index", indexed, "-f", "jsonl", "--no-threshold").stdout)
    assert [hit["verdict"] for hit in found[:4]] == ["strong"] * 4
    assert found[-1]["verdict"] == "unlikely"
    for hit in found:
        assert hit["expected_false_hits"] == pytest.approx(1000 * hit["fmr"], rel=0.02), "32 faces count as 1,000"
    filtered = hits(facesearch("query", me, "--index", indexed, "-f", "jsonl", "--faces", "6..").stdout)
    assert [Path(hit["path"]).name for hit in filtered] == ["everybody.jpg", "everybody small.webp"]
    assert filtered[0]["expected_false_hits"] == pytest.approx(1000 * filtered[0]["fmr"], rel=0.02)


def test_a_false_match_rate_as_the_limit(facesearch: Run, indexed: Path, me: Path) -> None:
    asked = ["query", me, "--index", indexed, "-f", "json"]
    table = calibration_of(model_info("embedded"))
    rates = (1e-2, 1e-5, table.rate(0.99))
    limits = [
        json.loads(facesearch(*asked, "--fmr", f"{rate:g}", exit_code=code).stdout)["threshold"]
        for rate, code in zip(rates, (0, 0, 1), strict=True)
    ]
    assert limits == pytest.approx([table.similarity_at(rate) for rate in rates], abs=0.001)
    assert limits[0] == pytest.approx(0.29, abs=0.02)


def test_the_query_photo_is_marked_and_not_counted(facesearch: Run, library: Path, indexed: Path) -> None:
    itself = library / "photos/portraits/bea.jpg"
    found = hits(facesearch("query", itself, "--index", indexed, "-f", "jsonl", "-k", "2").stdout)
    assert [(hit["rank"], hit.get("is_query", False)) for hit in found] == [(0, True), (1, False), (2, False)]
    crop = library / "photos/portraits/tight crop.png"
    alone = facesearch("query", crop, "--index", indexed, exit_code=1)
    assert "only the query photo itself, or a copy of it, reaches a similarity of 0.41 among 32 faces" in alone.stderr
    assert "; the nearest is /" in alone.stderr
    assert len(alone.stdout.splitlines()) == 2
    assert "one photo finds about 82% of a person's photos, three about 97%; give several" in alone.stderr
    at_another = facesearch(
        "query", library / "photos/portraits/tight crop.png", "--index", indexed, "-t", "0.5", exit_code=1
    )
    assert "one photo finds" not in at_another.stderr, "the two thirds hold only at the default threshold"
    assert "several photos of a person find more than one; give several" in at_another.stderr


def test_nothing_found_names_the_nearest(facesearch: Run, indexed: Path, me: Path) -> None:
    answer = facesearch("query", me, "--index", indexed, "-t", "0.99", exit_code=1)
    assert answer.stdout == ""
    assert re.search(r"the nearest is /.*\.(png|jpg) \(0\.\d\d, strong\)", answer.stderr)
    none = facesearch("query", me, "--index", indexed, "--since", "2200", exit_code=1)
    assert none.stderr.endswith(f"none of the 32 faces in {indexed} passes --since; omit it, or give another value\n")
    assert "one photo finds" not in none.stderr


def test_filters(facesearch: Run, library: Path, indexed: Path, me: Path) -> None:
    def found(*options: str | Path, exit_code: int = 0) -> set[str]:
        return names(facesearch("query", me, "--index", indexed, "-f", "paths", *options, exit_code=exit_code).stdout)

    assert found("--under", library / "photos/portraits") == {"bea.jpg"}
    assert found("--not-under", library / "photos/party") == {"bea.jpg"}
    assert found("--alone") == {"bea.jpg"}
    assert found("--faces", "2..5") == {"left half.png"}
    assert found("--min-face", "100") == {"everybody.jpg", "left half.png", "bea.jpg"}
    assert found("--since", "2020", "--until", "2100") == {
        "everybody.jpg",
        "everybody small.webp",
        "left half.png",
        "bea.jpg",
    }
    assert found("--until", "2010", exit_code=1) == set()
    dan, fay = library / "photos/portraits/dan.jpg", library / "photos/portraits/fay.jpg"
    assert found("--with", dan) == {"everybody.jpg", "everybody small.webp"}
    assert found("--with", dan, "--with", fay) == {"everybody.jpg", "everybody small.webp"}
    assert found("--with", library / "photos/phone/large.jpg", exit_code=1) == set()


def test_alone_means_nobody_but_those_who_were_asked_for(facesearch: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    group = shipped_photo("t1")
    group.crop((0, 100, 420, 500)).save(tmp_path / "photos/ada and bea.png")
    group.crop((0, 100, 640, 600)).save(tmp_path / "photos/ada, bea and cal.png")
    group.crop((220, 100, 420, 400)).save(tmp_path / "photos/bea.png")
    group.crop((20, 200, 220, 500)).save(tmp_path / "ada.png")
    group.crop((700, 280, 900, 540)).save(tmp_path / "dan.png")
    ImageOps.mirror(group.crop((220, 100, 420, 400))).save(tmp_path / "me.png")
    facesearch("index", "photos", "--index", "ix", "--model", "embedded", "-q")

    def found(*options: str, exit_code: int = 0) -> list[str]:
        answer = facesearch("query", "me.png", "--index", "ix", "-f", "paths", *options, exit_code=exit_code)
        return sorted(names(answer.stdout))

    assert found("--alone") == ["bea.png"]
    assert found("--with", "ada.png") == ["ada and bea.png", "ada, bea and cal.png"]
    assert found("--with", "ada.png", "--alone") == ["ada and bea.png"]
    assert found("--with", "ada.png", "--with", "dan.png", "--alone", exit_code=1) == []
    none = facesearch("query", "me.png", "--index", "ix", "--with", "dan.png", "--alone", exit_code=1)
    assert none.stderr.endswith(
        "none of the 6 faces in ix passes --with and --alone; omit one of them, or give another value\n"
    )
    none = facesearch("query", "me.png", "--index", "ix", "--since", "2200", "--alone", exit_code=1)
    assert none.stderr.endswith(" passes --since and --alone; omit one of them, or give another value\n")
    (tmp_path / "photos/bea.png").rename(tmp_path / "bea.png")
    facesearch("index", "--index", "ix", "-q")
    none = facesearch("query", "me.png", "--index", "ix", "--alone", exit_code=1)
    assert none.stderr.endswith("none of the 5 faces in ix passes --alone; omit it\n")
    unlike = facesearch("query", "me.png", "--index", "ix", "--faces", "2..", "-t", "0.999", exit_code=1)
    assert re.search(
        r"no face reaches a similarity of 0.999 among \d faces in ix that pass --faces; the", unlike.stderr
    )


def test_likely_photos_below_the_threshold_are_counted(facesearch: Run, indexed: Path, me: Path) -> None:
    every = hits(facesearch("query", me, "--index", indexed, "-f", "jsonl", "-k", "5").stdout)
    assert [hit["verdict"] for hit in every[:4]] == ["strong"] * 4
    middle = (every[2]["similarity"] + every[3]["similarity"]) / 2
    between, rate = f"{middle:.4f}", f"{calibration_of(model_info('embedded')).rate(middle):g}"
    asked = ["query", me, "--index", indexed, "-f", "paths"]
    told = facesearch(*asked, "-t", between)
    assert "1 more likely photo below the threshold; a lower --threshold shows it" in told.stderr
    assert "below the threshold; a higher --fmr shows " in facesearch(*asked, "--fmr", rate).stderr
    assert "more likely" not in facesearch(*asked, "-t", between, "-k", "3").stderr, "-k is a limit, too"
    assert "more likely" not in facesearch(*asked, "-t", between, "-q").stderr
    assert "more likely" not in facesearch(*asked).stderr


def test_expand_without_a_strong_hit_says_so(facesearch: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shipped_photo("t1").save(tmp_path / "photos/t1.png")
    make_pack(tmp_path / "pack")
    facesearch("index", "photos", "--index", "ix", "--model", "pack", "-q")
    asked = facesearch("query", "photos/t1.png", "--index", "ix", "-k", "3", "-t", "0", "--expand", exit_code=1)
    assert "facesearch: --expand had no effect: no hit is strong\n" in asked.stderr


def test_camera_dates_count_before_file_dates(facesearch: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2001:02:03 04:05:06"
    shipped_photo("astronaut").save(tmp_path / "photos/dated.jpg", exif=exif, quality=95)
    shipped_photo("astronaut").resize((400, 400)).save(tmp_path / "photos/undated.jpg", quality=95)
    os.utime(tmp_path / "photos/undated.jpg", (1e9, 1e9))  # 9 September 2001
    facesearch("index", "photos", "--index", "ix", "--model", "embedded", "-q")
    asked = ["query", "photos/undated.jpg", "--index", "ix", "-f", "jsonl"]
    found = {
        Path(hit["path"]).name: hit for hit in hits(facesearch(*asked, "--since", "2001", "--until", "2001").stdout)
    }
    assert {name: hit["date_source"] for name, hit in found.items()} == {"dated.jpg": "exif", "undated.jpg": "file"}
    assert found["dated.jpg"]["date"] == "2001-02-03T04:05:06"
    (only,) = hits(facesearch(*asked, "--until", "2001-02").stdout)
    assert Path(only["path"]).name == "dated.jpg"
    assert "2001-09-09 (file)" in facesearch("query", "photos/dated.jpg", "--index", "ix").stdout


def test_the_change_of_a_scan_is_not_the_day_it_was_taken(facesearch: Run, tmp_path: Path) -> None:
    (tmp_path / "photos/1962-07 Italy").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0132] = "2015:06:07 08:09:10"
    shipped_photo("astronaut").save(tmp_path / "photos/1962-07 Italy/scan.jpg", exif=exif, quality=95)
    shipped_photo("astronaut").resize((400, 400)).save(tmp_path / "photos/IMG-20190703-WA0001.jpg", quality=95)
    facesearch("index", "photos", "--index", "ix", "--model", "embedded", "-q")
    asked = ["query", "photos/IMG-20190703-WA0001.jpg", "--index", "ix"]
    for since, until in (("1962-06", "1962-08"), ("1962-07-14", "1962-07-14"), ("1900", "1970")):
        (hit,) = hits(facesearch(*asked, "-f", "jsonl", "--since", since, "--until", until).stdout)
        assert (hit["date"], hit["date_source"], hit["date_precision"]) == ("1962-07-01T00:00:00", "name", "month")
        assert hit["taken_at"] == "1962-07-01T00:00:00"
        Draft202012Validator(SCHEMA).validate(hit)
    assert not facesearch(*asked, "--since", "1962-08", "--until", "1970", exit_code=1).stdout
    table = facesearch(*asked, "--sheet", "sheet.png", "--html", "hits.html").stdout
    assert "  1962-07 (name)     " in table
    assert "  2019-07-03 (name)  " in table
    assert '<time datetime="1962-07">1962-07</time> (from its name)' in (tmp_path / "hits.html").read_text()
    rows = list(csv.DictReader(io.StringIO(facesearch(*asked, "-f", "csv").stdout)))
    assert {row["date_precision"] for row in rows} == {"month", "day"}
    exported = facesearch("export", "--index", "ix", "--format", "jsonl").stdout
    assert {json.loads(line)["date_source"] for line in exported.splitlines()} == {"name"}


def test_pictures_made_by_facesearch_are_not_indexed(facesearch: Run, library: Path, tmp_path: Path) -> None:
    shutil.copytree(library / "photos/portraits", tmp_path / "photos")
    number = len(list((tmp_path / "photos").iterdir()))
    facesearch("index", "photos", "--index", "ix", "--model", "embedded", "-q")
    asked = ["query", library / "query.jpg", "--index", "ix", "-f", "paths"]
    answer = facesearch(
        *asked, "--crops-to", "photos/faces", "--sheet", "photos/sheet.png", "--html", "photos/hits.html"
    )
    assert "--crops-to photos/faces: inside a folder of the index, so" in answer.stderr
    facesearch("who", library / "photos/party/everybody.jpg", "--draw", "photos/drawn.jpg", "--crops-to", "photos/six")
    report = json.loads(facesearch("index", "--index", "ix", "-f", "json").stdout)
    assert (report["photos"], report["new"], report["no_face"], report["ours"]) == (number, 0, 0, 1 + 1 + 1 + 6)
    again = facesearch("index", "--index", "ix")
    assert re.search(r"^made by facesearch +9$", again.stdout, re.MULTILINE)
    assert re.search(rf"^unchanged +{number}$", again.stdout, re.MULTILINE)
    assert re.search(r"^made by facesearch +9$", facesearch("status", "--index", "ix").stdout, re.MULTILINE)
    (crop,) = (tmp_path / "photos/faces").iterdir()
    assert names(facesearch("query", crop, "--index", "ix", "-f", "paths").stdout) == {"bea.jpg"}


def test_copies_into_the_library_cause_a_warning(facesearch: Run, library: Path, tmp_path: Path) -> None:
    shutil.copytree(library / "photos/portraits", tmp_path / "photos")
    (tmp_path / "link").symlink_to("photos")
    facesearch("index", "photos", "--index", "ix", "--model", "embedded", "-q")
    asked = ["query", library / "query.jpg", "--index", "ix", "-f", "paths", "--dry-run"]
    for option, folder in (("--copy-to", "photos/found"), ("--link-to", "photos"), ("--copy-to", "link/found")):
        told = [line for line in facesearch(*asked, option, folder).stderr.splitlines() if "inside a folder" in line]
        what = "copies" if option == "--copy-to" else "links"
        reason = f"inside a folder of the index, so the next facesearch index adds the {what}"
        assert told == [f"facesearch: {option} {folder}: {reason}; choose a folder outside to avoid that"]
    assert "inside a folder" not in facesearch(*asked, "--copy-to", "photos beside").stderr
    assert "inside a folder" not in facesearch(*asked, "--copy-to", "photos/found", "--quiet").stderr


def test_near_identical_shots_are_folded(facesearch: Run, library: Path, indexed: Path) -> None:
    asked = ["query", library / "photos/phone/large.jpg", "--index", indexed, "-f", "jsonl"]
    plain = hits(facesearch(*asked).stdout)
    folded = hits(facesearch(*asked, "--fold").stdout)
    assert len(plain) == 6
    assert len(folded) == 1 + 2, "upright in colour, upright in grey, and on its side"
    assert sum(len(hit.get("folded", [])) for hit in folded) + len(folded) == len(plain)


def test_a_query_photo_of_another_person_is_skipped(facesearch: Run, library: Path, indexed: Path, me: Path) -> None:
    portraits = library / "photos/portraits"
    answer = facesearch("query", me, portraits / "bea.jpg", portraits / "dan.jpg", "--index", indexed, "-f", "jsonl")
    assert re.search(r"dan\.jpg: not the person of the other photos \(similarity -?0\.\d\d\); skipped", answer.stderr)
    assert hits(answer.stdout)[0]["query_paths"] == [str(me), str(portraits / "bea.jpg")]
    two = facesearch("query", me, portraits / "dan.jpg", "--index", indexed)
    assert "may show two people" in two.stderr
    group = facesearch("query", library / "photos/party/everybody.jpg", me, portraits / "bea.jpg", "--index", indexed)
    assert "shows 6 faces: using the one most similar to the other photos, at 26" in group.stderr


def test_copies_links_and_crops(facesearch: Run, indexed: Path, me: Path, tmp_path: Path) -> None:
    asked = ["query", me, "--index", indexed, "-f", "paths"]
    dry = facesearch(*asked, "--copy-to", "copies", "--crops-to", "faces", "--dry-run")
    assert len(re.findall(r"would write copies/", dry.stderr)) == 4
    assert not (tmp_path / "copies").exists()
    done = facesearch(*asked, "--copy-to", "copies", "--link-to", "links", "--crops-to", "faces")
    assert "4 photos copied to copies" in done.stderr
    found = names(done.stdout)
    for folder in ("copies", "links"):
        assert {path.name for path in (tmp_path / folder).iterdir()} == found
    assert all((tmp_path / "links" / name).is_symlink() for name in found)
    assert len(list((tmp_path / "faces").iterdir())) == 4
    again = facesearch(*asked, "--copy-to", "copies", "--hard-links", "--link-to", "hard")
    assert "0 photos copied to copies, 4 already existed" in again.stderr
    assert all((tmp_path / "hard" / name).stat().st_nlink > 1 for name in found)
    near = facesearch(*asked, "-k", "6", "--copy-to", "near")
    assert "hits below the threshold, not copied: 2;" in near.stderr
    assert len(list((tmp_path / "near").iterdir())) == 4
    reader = subprocess.run(
        f"{sys.executable} -m facesearch query '{me}' --index '{indexed}' --no-threshold --copy-to piped | head -1",
        shell=True, capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert len(reader.stdout.splitlines()) == 1
    assert len(list((tmp_path / "piped").iterdir())) >= 17, "all copies are made even if the output is not read"
    (tmp_path / "file").write_text("")
    refused = facesearch(*asked, "--copy-to", "file/folder", exit_code=3)
    assert names(refused.stdout) == found, "the answer is printed first"
    assert "cannot be created" in refused.stderr.splitlines()[-1]


def test_photos_that_cannot_be_copied_are_reported_with_exit_code_5(facesearch: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    shipped_photo("astronaut").save(tmp_path / "photos/here.png")
    ImageOps.mirror(shipped_photo("astronaut")).save(tmp_path / "photos/gone.png")
    facesearch("index", "photos", "--index", "ix", "--model", "embedded", "-q")
    (tmp_path / "photos/gone.png").unlink()
    answer = facesearch("query", "photos/here.png", "--index", "ix", "--copy-to", "copies", exit_code=5)
    assert "gone.png: not found; skipped" in answer.stderr
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["here.png"]


def test_a_gallery(facesearch: Run, indexed: Path, me: Path, tmp_path: Path) -> None:
    answer = facesearch("query", me, "--index", indexed, "-k", "6", "--html", "hits.html")
    assert "wrote gallery hits.html" in answer.stderr
    page = (tmp_path / "hits.html").read_text()
    assert page.count("everybody small.webp") >= 1
    assert "https:" not in page
    assert "http:" not in page.replace("http://www.w3.org", "")
    both = facesearch("query", me, me, "--each", "--index", indexed, "--html", "both.html")
    assert "wrote gallery both.html" in both.stderr


def test_compare(facesearch: Run, library: Path, me: Path) -> None:
    portraits = library / "photos/portraits"
    same = facesearch("compare", me, portraits / "bea.jpg")
    assert re.search(r"^verdict +strong$", same.stdout, re.MULTILINE)
    other = facesearch("compare", me, portraits / "dan.jpg", "-f", "json", exit_code=1)
    told = json.loads(other.stdout)
    assert (told["same"], told["best"]["verdict"], told["threshold"]) == (False, "unlikely", EMBEDDED_THRESHOLD)
    group = facesearch("compare", me, library / "photos/party/everybody.jpg")
    assert "1 face and 6 faces: comparing the most similar" in group.stderr
    table = facesearch("compare", portraits / "dan.jpg", library / "photos/party/everybody.jpg", "--all-faces").stdout
    (row,) = table.splitlines()[1:]
    assert len(re.findall(r"strong", row)) == 1
    assert len(re.findall(r"unlikely|possible", row)) == 5
    every = json.loads(
        facesearch("compare", me, library / "photos/party/everybody.jpg", "--all-faces", "-f", "json").stdout
    )
    assert len(every["pairs"]) == 6
    assert every["best"]["expected_false_hits"] == pytest.approx(1000 * every["best"]["fmr"], rel=0.02)
    facesearch("compare", me, portraits / "bea.jpg", "--fmr", "1e-14", exit_code=1)


def test_the_faces_of_a_photo(facesearch: Run, library: Path, tmp_path: Path) -> None:
    photo = library / "photos/party/everybody.jpg"
    told = json.loads(facesearch("who", photo, "-f", "json").stdout)
    assert [face["face"] for face in told["faces"]] == [1, 2, 3, 4, 5, 6]
    sizes = [face["box"][2] * face["box"][3] for face in told["faces"]]
    assert sizes == sorted(sizes, reverse=True), "the order of --face"
    assert all(len(face["landmarks"]) == 5 and 0 < face["quality"] <= 1 for face in told["faces"])
    lefts = sorted(face["box"][0] for face in told["faces"])
    assert lefts == pytest.approx(sorted(box[0] for box in FACES_IN_T1.values()), abs=15)
    rows = list(csv.DictReader(io.StringIO(facesearch("who", photo, "-f", "csv").stdout)))
    assert [float(row["left"]) for row in rows] == [face["box"][0] for face in told["faces"]]
    drawn = facesearch("who", photo, "--draw", "drawn.png", "--crops-to", "crops")
    assert len(drawn.stdout.splitlines()) == 7
    with Image.open(tmp_path / "drawn.png") as picture:
        assert picture.size == shipped_photo("t1").size
    assert len(list((tmp_path / "crops").iterdir())) == 6


def test_a_model_is_calibrated_on_the_users_own_people(facesearch: Run, tmp_path: Path) -> None:
    """A pack ships no table: its verdicts are a guess before the calibration, and use the table afterwards."""
    photo = shipped_photo("t1")
    for person, (left, top, width, height) in FACES_IN_T1.items():
        (tmp_path / "people" / person).mkdir(parents=True)
        for number in range(6):
            shift = 4 * number
            box = (left - width // 2 - shift, top - height // 2, left + width * 3 // 2, top + height * 3 // 2 + shift)
            portrait = photo.crop(box)
            portrait = ImageOps.mirror(portrait) if number % 2 else portrait
            portrait.save(tmp_path / f"people/{person}/{number}.jpg", quality=60 + 5 * number)
    (tmp_path / "people/ada/broken.jpg").write_bytes(b"\xff\xd8")
    looked = facesearch("models", "calibrate", "people", "--model", "embedded", "--dry-run")
    assert "36 faces of 6 people, 0 skipped" in looked.stdout
    assert "ada/broken.jpg: not a photo" in looked.stderr or "broken.jpg" in looked.stderr
    smaller = facesearch("models", "calibrate", "people", "--model", "embedded")
    assert "not saved: facesearch's own table for embedded is better: measured on 17 people" in smaller.stderr
    assert not (tmp_path / "home/.local").exists()


def test_every_command_gives_examples(facesearch: Run) -> None:
    commands = re.findall(
        r"^  (\w+) ", facesearch("--help").stdout.split("Find:")[1].split("Examples:")[0], re.MULTILINE
    )
    assert {"query", "compare", "who", "folders", "models"} <= set(commands)
    for command in commands:
        shown = facesearch(command, "--help").stdout
        assert re.search(rf"Examples:\n +facesearch {command}", shown), command


def test_shell_completion(environment: dict[str, str]) -> None:
    def offered(*words: str) -> set[str]:
        line = " ".join(words)
        result = subprocess.run(
            [sys.executable, "-m", "facesearch"],
            env={
                **environment, "_FACESEARCH_COMPLETE": "complete_bash", "COMP_WORDS": line,
                "COMP_CWORD": str(len(words) - 1),
            },
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert "Traceback" not in result.stderr
        return set(result.stdout.split())

    assert offered("facesearch", "co") == {"compare"}
    assert {"--top-k", "--threshold"} <= offered("facesearch", "query", "--t")
    assert offered("facesearch", "query", "--format", "j") == {"json", "jsonl"}
    assert offered("facesearch", "index", "--device", "c") == {"cpu", "cuda", "coreml"}


def test_a_terminated_run_leaves_no_partial_file(
    environment: dict[str, str], library: Path, indexed: Path, me: Path, tmp_path: Path
) -> None:
    """The command is terminated while it writes a gallery."""
    (tmp_path / "photos").mkdir()
    shipped_photo("t1").resize((2560, 1772)).save(tmp_path / "photos/0.png", compress_level=0)
    for number in range(1, 40):
        os.link(tmp_path / "photos/0.png", tmp_path / f"photos/{number}.png")
    run = [sys.executable, "-m", "facesearch"]
    subprocess.run(
        [*run, "index", "photos", "--index", "many", "--model", "embedded", "-q"],
        env=environment, cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    asked = [*run, "query", str(me), "--index", "many", "--no-threshold", "--all-faces", "--html", "out/hits.html"]
    (tmp_path / "out").mkdir()
    with start_process(asked, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 60
        while not list((tmp_path / "out").iterdir()) and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert b"Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []
