"""The benchmarks run: each once, on next to nothing. What they measure is not for a test to judge."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import CHECKOUT
from PIL import Image, ImageEnhance, ImageOps
from sample_library import FACES_IN_T1, shipped_photo

from facesearch.models import bundled

pytestmark = pytest.mark.thorough

GROUPS = {"left.png": ((0, 0, 640, 886), "bea"), "right.png": ((640, 0, 1280, 886), "dan")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two photos with faces, one without, one too small to count, and a file that is none."""
    folder = tmp_path / "photos"
    (folder / "inside").mkdir(parents=True)
    shipped_photo("t1").save(folder / "group.jpg")
    shipped_photo("astronaut").save(folder / "inside" / "astronaut.PNG")
    shipped_photo("coffee").save(folder / "coffee.jpeg")
    shipped_photo("astronaut").resize((200, 200)).save(folder / "small.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    return folder


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Two people with three portraits each, and each in a group photo."""
    folder, photo = tmp_path / "people", shipped_photo("t1")
    (folder / "groups").mkdir(parents=True)
    for name, (box, person) in GROUPS.items():
        photo.crop(box).save(folder / "groups" / name)
        left, top, width, height = FACES_IN_T1[person]
        portrait = photo.crop((left - width // 2, top - height // 2, left + width * 3 // 2, top + height * 3 // 2))
        changed = [portrait, ImageOps.mirror(portrait), ImageEnhance.Brightness(portrait).enhance(0.8)]
        (folder / "portraits" / person).mkdir(parents=True)
        for number, picture in enumerate(changed):
            picture.save(folder / "portraits" / person / f"{number}.jpg", quality=90)
    who = {name: {"people": [person]} for name, (_, person) in GROUPS.items()}
    (folder / "groups" / "who.json").write_text(json.dumps(who))
    return folder


@pytest.fixture
def crops(tmp_path: Path) -> Path:
    """Forty crops of each of three people, brighter and brighter."""
    folder = tmp_path / "crops"
    for person in ("bea", "dan", "fay"):
        (folder / person).mkdir(parents=True)
        left, top, width, height = FACES_IN_T1[person]
        portrait = shipped_photo("t1").crop((left, top, left + width, top + height)).resize((112, 112))
        for number in range(40):
            ImageEnhance.Brightness(portrait).enhance(0.5 + number / 40).save(folder / person / f"{number}.png")
    return folder


Benchmark = Callable[..., str]


@pytest.fixture
def run_benchmark(environment: dict[str, str], tmp_path: Path) -> Benchmark:
    """Runs a script of `benchmarks/` in a process of its own and gives back what it prints: its report or complaint."""

    def run(script: str, *arguments: str | Path, exit_code: int = 0) -> str:
        result = subprocess.run(
            [sys.executable, str(CHECKOUT / "benchmarks" / script), *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=400,
            check=False,
        )
        assert "Traceback" not in result.stderr, result.stderr
        assert result.returncode == exit_code, result.stderr
        return result.stderr if exit_code else result.stdout

    return run


@pytest.mark.slow
def test_index_speed(run_benchmark: Benchmark, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    sizes = ("--megapixels", "0.3", "0.2", "--runs", "1", "--copies", "1")
    printed = run_benchmark("index_speed.py", photos, *sizes, "--json", out, "--peers")
    result = json.loads(out.read_text())
    assert [(size["megapixels"], size["photos"]) for size in result["sizes"]] == [(0.2, 3), (0.3, 3)]
    assert all(size["bits_per_pixel"] > 1 for size in result["sizes"])
    assert [row["program"] for row in result["programs"]] == ["facesearch"] * 2
    for row in result["programs"]:
        assert (row["photos"], row["faces"], len(row["rates"]), row["ratio"]) == (3, 7, 1, None)
        assert row["rate"] > 0
    for bound in result["bounds"]:
        assert (bound["photos"], bound["faces"]) == (3, 7)
        assert bound["calls"]["decode"] >= 1
        assert bound["calls"]["detect"] >= 2
        assert 0 < bound["calls"]["embed"] <= 1
        assert bound["runtime"]
        assert min(*bound["core_ms"].values(), bound["rate"], bound["share"]) > 0
    assert result["not_run"] == {}
    assert result["machine"]["cores"] >= 1
    assert "| 0.3 | facesearch | 3 | 7 | 1 |" in printed
    assert not list(tmp_path.glob("index-speed-*")), "something was left behind"


def test_index_speed_takes_so_many_photos(run_benchmark: Benchmark, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    some = ("--megapixels", "0.2", "--runs", "1", "--copies", "2", "--limit", "1", "--bound", "0")
    run_benchmark("index_speed.py", photos, *some, "--json", out, "--peers")
    result = json.loads(out.read_text())
    assert [row["photos"] for row in result["programs"]] == [2]
    assert result["bounds"] == []


def test_index_speed_needs_photos(run_benchmark: Benchmark, tmp_path: Path) -> None:
    assert "no photos" in run_benchmark("index_speed.py", tmp_path / "home", "--peers", exit_code=1)


@pytest.mark.skipif(find_spec("cv2") is None, reason="needs OpenCV, which is the loop's and not facesearch's")
def test_the_plain_loop_finds_the_same_faces(run_benchmark: Benchmark, tmp_path: Path) -> None:
    for name in ("t1", "astronaut", "coffee"):
        shipped_photo(name).save(tmp_path / f"{name}.jpg", quality=92)
    weights = Path(bundled.__file__).parent / "weights"
    graphs = [weights / "yunet_2023mar.onnx", weights / "sface_2021dec.onnx"]
    told = json.loads(run_benchmark("peers/loop.py", tmp_path, *graphs, "1"))
    assert (told["photos"], told["faces"]) == (3, 7)
    assert 0 < sum(told["stages"].values()) <= told["seconds"]


def test_people_in_groups(run_benchmark: Benchmark, people: Path) -> None:
    lines = run_benchmark("people_in_groups.py", people, "--revision", "2", "3").splitlines()
    assert [line for line in lines if line.startswith("revision")] == ["revision 2", "revision 3"]
    assert "| left.png | bea | 3 of 3 | 3 of 3 | 1 of 1 | 1 of 1 |" in lines
    assert "| right.png | dan | 3 of 3 | 3 of 3 | 1 of 1 | 1 of 1 |" in lines
    assert "| wrong hits | | 0 | 0 | 0 | 0 |" in lines
    assert "| above every wrong photo | | 6 | 6 | 2 | 2 |" in lines


@pytest.mark.parametrize(
    ("what", "told"),
    [
        pytest.param("groups", "| few people, many photos | 1.0000 | 1.0000 | 1.0000 |", marks=pytest.mark.slow),
        pytest.param(
            "answers",
            "| few people, many photos | 1 | through people | 100.0% | 100.0% | 0.000 |",
            marks=pytest.mark.slow,
        ),
        pytest.param("nights", "| 40 people, five photos each | 20 |", marks=pytest.mark.slow),
    ],
)
def test_people(run_benchmark: Benchmark, crops: Path, what: str, told: str) -> None:
    printed = run_benchmark("people.py", what, crops, "--people", "40", "40", "--no-others", "--keep", "kept.npz")
    assert told in printed


@pytest.mark.slow
def test_people_at_scale(run_benchmark: Benchmark, crops: Path) -> None:
    printed = run_benchmark("people_at_scale.py", crops, "--faces", "400", "--keep", "kept.npz")
    for what in ("`people list`", "completion of a name", "`people review`: the next question after no"):
        assert re.search(rf"\| 400 \| {re.escape(what)} \| \d+\.\d\d s \|", printed), printed


@pytest.mark.slow
def test_serving(run_benchmark: Benchmark, crops: Path) -> None:
    sizes = ("--faces", "400", "--photos", "20", "--clients", "2", "--seconds", "4")
    printed = run_benchmark("serving.py", crops, *sizes, "--keep", "kept.npz")
    assert re.search(r"\| a face of the index \| 200 \| \d+ \| \d+ \| \d+ \|", printed), printed
    assert printed.count("errors 0") == 2, printed


@pytest.mark.slow
def test_forgetting(run_benchmark: Benchmark, crops: Path) -> None:
    printed = run_benchmark("forgetting.py", crops, "--people", "40", "--keep", "kept.npz")
    assert "| few people, many photos | with the sweep | 0.00% | 100% | 0.0 | 0 | 0 |" in printed
    assert printed.count("| 1e-06 |") == 9


@pytest.mark.slow
def test_galleries(run_benchmark: Benchmark, crops: Path) -> None:
    printed = run_benchmark(
        "galleries.py", crops, "--keep", "kept.npz", "--faces", "500", "--engines", "postgres", "--methods", "exact"
    )
    assert "postgres, push: 500 faces in " in printed
    assert re.search(r"postgres exact.*: all .* ms, 100.0%, 100.0%; 25 % .*100.0%; 1 % .*100.0%; 0.02 % ", printed)


def test_gallery_sizes(run_benchmark: Benchmark) -> None:
    printed = run_benchmark("gallery_sizes.py", "--faces", "300", "--dims", "16", "--engines", "postgres")
    assert len(re.findall(r"16 postgres (exact|hnsw|ivf): [\d,]+ bytes a face stored", printed)) == 3


def test_cold_query(run_benchmark: Benchmark, people: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    run_benchmark("cold_query.py", people / "portraits/bea/0.jpg", "1", "20", "--json", out)
    told = json.loads(out.read_text())
    assert {"whole process", "facesearch --help", "imports", "decode", "detect", "embed", "search"} <= set(told)
    assert told["whole process"] > told["embed"] > 0


@pytest.mark.slow
def test_search_scale(run_benchmark: Benchmark, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    script = ["search_scale.py", crops, "--faces", "900", "3000", "--kept-out", "20", "--json", out]
    printed = run_benchmark(*map(str, script))
    told = json.loads(out.read_text())
    assert [size["faces"] for size in told["sizes"]] == [900, 3000]
    for size in told["sizes"]:
        assert set(size["types"]) == {"flat", "ivf"}
        assert size["types"]["flat"]["recall"] == 1
        assert size["pairs"]["genuine"][2] > size["pairs"]["impostor"][2]
    assert told["sizes"][1]["types"]["ivf"]["own_recall"] >= 0.9
    assert "| 3,000 | ivf |" in printed


@pytest.mark.slow
def test_calibrate(run_benchmark: Benchmark, crops: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    printed = run_benchmark("calibrate.py", crops, "--revision", "2", "3", "--output", out)
    assert "revision 2: 120 faces of 3 people, 0 omitted" in printed
    told = json.loads(out.read_text())
    assert (told["pipeline"], told["people"], told["faces"], told["left_out"]) == (3, 3, 120, 0)
    assert [entry["photos"] for entry in told["people_left_out"]] == [1, 2, 3, 5, 10]
    assert [entry["photos"] for entry in told["curves"]] == [1, 2, 3, 5, 10]
    for entry in told["curves"]:
        assert len(entry["log10_fmr"]) == len(entry["tmr"]) == len(told["similarity"])
        assert entry["log10_fmr"] == sorted(entry["log10_fmr"], reverse=True), "the higher, the rarer"
        assert entry["tmr"][0] == 1
    assert "1e-7 (extrapolated)" in printed


def test_faces_found(run_benchmark: Benchmark, photos: Path) -> None:
    printed = run_benchmark("faces_found.py", photos, "--mosaics", "1")
    assert "| photos | 4 | 8 | 8 |" in printed
    assert "| mosaics | 1 |" in printed


@pytest.mark.slow
def test_copies(run_benchmark: Benchmark) -> None:
    printed = run_benchmark("copies.py", "20")
    assert "longest time between commits" in printed
    assert "all renamed: a copy costs " in printed


@pytest.mark.slow
def test_refresh(run_benchmark: Benchmark) -> None:
    printed = run_benchmark("refresh.py", "20", "40")
    assert "20 files, nothing changed: " in printed
    assert "ten new photos in an index of 40 faces: " in printed


def test_answers_about_photos(run_benchmark: Benchmark, people: Path) -> None:
    truth = {name: {"people": [person]} for name, (_, person) in GROUPS.items()}
    (people / "groups/who.json").write_text(json.dumps(truth))
    printed = run_benchmark("answers.py", "photos", people)
    assert "Asked with 1 portrait at a time" in printed
    assert re.search(r"\| bea \| 100\.0% \| 100\.0% \| 0\.00 \| [\d.]+% \| 100\.00% \| 1\.000 \|", printed)
    (people / "portraits").rename(people / "train")
    (people / "groups").rename(people / "test")
    found = run_benchmark("answers.py", "folders", people)
    assert re.search(r"\| bea \| 3 \| left\.png \(0\.\d\d, \w+\)", found)


@pytest.mark.slow
def test_answers_about_people(run_benchmark: Benchmark, crops: Path) -> None:
    fourth = shutil.copytree(crops / "dan", crops / "ada")
    for path in fourth.iterdir():
        with Image.open(path) as picture:
            ImageOps.mirror(picture).rotate(15).save(path)
    printed = run_benchmark("answers.py", "people", crops, "--questions", "2")
    assert printed.count("| mean |") == 8
    assert "1 photo at a time, expanded" in printed
    assert "3 photos at a time, people that the table does not know" in printed


@pytest.mark.slow
def test_crop_scales(run_benchmark: Benchmark, crops: Path, people: Path) -> None:
    printed = run_benchmark("crop_scales.py", crops, "--photos", "3")
    assert "9 faces of 3 people" in printed
    assert re.search(r"\| looks: revision 2; scale 1\.0 \| ([01]\.\d{3} ){3}\| too few \|", printed)
    assert "| scale 0.96, moved by 0, -2 |" in printed
    assert "| question three scales, mirrored |" in printed
    assert re.search(r"^[4-6]\d faces of 2 people", run_benchmark("crop_scales.py", people / "portraits", "--hard"))


def test_quality(run_benchmark: Benchmark, crops: Path) -> None:
    printed = run_benchmark("quality.py", crops, "--crops", "9")
    assert re.search(r"^\d+ faces in 27 pictures of 3 people$", printed, re.MULTILINE)
    assert "rank correlation, as they are:" in printed
    assert "| the better " in printed


@pytest.mark.slow
def test_recognisers_by_runtime_and_batch(tmp_path: Path) -> None:
    command = [sys.executable, str(CHECKOUT / "benchmarks/recognisers.py"), "1", "--layers", "1", "1", "1", "1"]
    done = subprocess.run([*command, "--json", str(tmp_path / "out.json")], capture_output=True, text=True, check=True)
    rows = json.loads((tmp_path / "out.json").read_text())
    assert {row["network"] for row in rows} == {"SFace", "ResNet 1-1-1-1"}
    assert {row["batch"] for row in rows} == {1, 4, 16}
    assert all(row["ms_a_face"] > 0 for row in rows)
    assert len(done.stdout.splitlines()) == len(rows)
