"""Measure `facesearch serve`: how long a question takes in a large index, and how it bears several clients at once.

    python benchmarks/serving.py CROPS --faces 100000 --seconds 60

CROPS has one subfolder of photos per person. The large index is that of `people_at_scale`. For the load, `--photos`
crops are indexed, and as many are added by an indexing run while `--clients` clients ask for `--seconds`: most of them
search with a photo or a face, some look at pictures, list people, or name somebody and take it back. With `--pack
FOLDER` the index is switched to that model meanwhile. An answer other than success or 429 (busy) is an error.
`--keep FILE.npz` stores the embeddings of the crops for the next call.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from libraries import load
from people_at_scale import made, make_index

TOKEN = "benchmark-benchmark-1"
COMMAND = [sys.executable, "-m", "facesearch"]
QUESTIONS, WARM = 200, 20


@dataclass
class Client:
    """A connection to a server, and the times in milliseconds and the answers that it got."""

    port: int
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    answers: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._connection = HTTPConnection("127.0.0.1", self.port, timeout=120)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, kind: str, method: str, path: str, body: bytes | None = None, form: str = "application/json") -> Any:
        """Ask once; return the JSON of a successful answer, None for a picture and for a busy server."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": form}
        begun = time.perf_counter()
        self._connection.request(method, f"/api/v1/{path}", body, headers)
        answer = self._connection.getresponse()
        data = answer.read()
        self.milliseconds.setdefault(kind, []).append((time.perf_counter() - begun) * 1000)
        self.answers[answer.status] += 1
        is_json = answer.status < 300 and "json" in (answer.headers["Content-Type"] or "")
        return json.loads(data) if is_json else None


@contextmanager
def server(index: Path, folder: Path) -> Iterator[int]:
    """Serve an index; yield the port."""
    tokens = folder / "tokens"
    tokens.write_text(f"benchmark owner {TOKEN}\n")
    tokens.chmod(0o600)
    command: list[str | Path] = [*COMMAND, "serve", "--index", index, "--token-file", tokens, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        told = running.stderr.readline()
        try:
            yield int(told.rstrip().rstrip("/").rpartition(":")[2])
        finally:
            running.terminate()


def form_of(photo: Path) -> tuple[bytes, str]:
    """Return a photo as the body of a form, and the type of that."""
    head = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="photo.jpg"\r\n\r\n'
    return head + photo.read_bytes() + b"\r\n--b--\r\n", "multipart/form-data; boundary=b"


def latency(crops: Path, faces: int, kept: Path | None) -> None:
    """Ask a server of a large index one question after another."""
    real, info = load(crops, kept)
    photos = sorted(path for path in crops.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory() as place:
        make_index(Path(place) / "index", made(real, faces), info)
        with server(Path(place) / "index", Path(place)) as port:
            client, rng = Client(port), random.Random(1)
            for number in range(QUESTIONS + WARM):
                face = json.dumps({"face_ids": [rng.randint(1, faces)], "top_k": 20}).encode()
                client.ask("warm" if number < WARM else "a face of the index", "POST", "search", face)
                body, form = form_of(rng.choice(photos))
                client.ask("warm" if number < WARM else "a photo", "POST", "search", body, form)
            client.close()
            del client.milliseconds["warm"]
    report(f"one client, {faces:,} faces", [client])


def under_load(crops: Path, photos: int, clients: int, seconds: float, pack: Path | None) -> None:
    """Ask from several clients at once while an indexing run writes."""
    every = sorted(path for path in crops.rglob("*") if path.is_file())
    chosen = random.Random(2).sample(every, min(2 * photos, len(every)))
    with tempfile.TemporaryDirectory() as place:
        folder, index = Path(place), Path(place) / "index"
        for number, photo in enumerate(chosen):
            part = folder / ("first" if number < len(chosen) // 2 else "later")
            part.mkdir(exist_ok=True)
            (part / f"{number}{photo.suffix}").symlink_to(photo.resolve())
        run("index", folder / "first", "--index", index)
        with server(index, folder) as port:
            asking = [Client(port) for _ in range(clients)]
            end = time.monotonic() + seconds
            threads = [threading.Thread(target=keep_asking, args=(one, chosen, end)) for one in asking]
            for thread in threads:
                thread.start()
            run("index", folder / "later", "--index", index)
            if pack is not None:
                run("reindex", "--model", pack, "--index", index)
            for thread in threads:
                thread.join()
            for one in asking:
                one.close()
    report(f"{clients} clients for {seconds:g} s, {len(chosen):,} photos, half of them added meanwhile", asking)


def keep_asking(client: Client, photos: list[Path], end: float) -> None:
    """Ask as a user of the page does, until the end."""
    rng = random.Random(threading.get_ident())
    hits: list[dict[str, Any]] = []
    while time.monotonic() < end:
        choice = rng.random()
        if choice < 0.5 or not hits:
            body, form = form_of(rng.choice(photos))
            found = client.ask("a photo", "POST", "search", body, form)
            hits = (found or {"queries": [{"hits": hits}]})["queries"][0]["hits"]
        elif choice < 0.65:
            client.ask("a picture", "GET", f"photos/{rng.choice(hits)['photo_id']}/picture?side=320")
        elif choice < 0.8:
            client.ask("a picture of a face", "GET", f"faces/{rng.choice(hits)['face_id']}/picture")
        elif choice < 0.9:
            client.ask("people", "GET", "people?limit=50")
        else:
            said = {"say": "call", "name": f"Name {rng.randint(1, 50)}", "faces": [rng.choice(hits)["face_id"]]}
            action = client.ask("a statement", "POST", "statements", json.dumps(said).encode())
            if action is not None:
                undo = {"say": "undo", "action": action["action"]}
                client.ask("a statement", "POST", "statements", json.dumps(undo).encode())


def run(*arguments: str | Path) -> None:
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True)


def report(what: str, clients: list[Client]) -> None:
    """Print the times by kind of question, and the answers by status."""
    print(f"\n{what}\n\n| | questions | median ms | 95 % ms | longest ms |\n| --- | ---: | ---: | ---: | ---: |")
    for kind in dict.fromkeys(kind for client in clients for kind in client.milliseconds):
        times = [value for client in clients for value in client.milliseconds.get(kind, [])]
        median, most = np.percentile(times, [50, 95])
        print(f"| {kind} | {len(times):,} | {median:.0f} | {most:.0f} | {max(times):.0f} |")
    answers: Counter[int] = sum((client.answers for client in clients), Counter())
    wrong = {status: number for status, number in answers.items() if status >= 300 and status != 429}
    print(f"\nanswers {sum(answers.values()):,}, busy {answers[429]:,}, errors {sum(wrong.values()):,} {wrong or ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("crops", type=Path)
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    latency(given.crops, given.faces, given.keep)
    under_load(given.crops, given.photos, given.clients, given.seconds, given.pack)


if __name__ == "__main__":
    main()
