"""The packs that InsightFace publishes, with their sources.

Names, networks, accuracy: InsightFace's `model_zoo/README.md`. Addresses: insightface 2.1's `utils/storage.py`; the
older release `v0.7` holds the same bytes. Digests: the catalogue of InsightFace's own server
(`server/backend/insightface_server/models/packages.py` and its tests), which lists them for both releases. Archive
sizes: as announced by GitHub; for the `raccoon` packs, new in insightface 2.0, to a tenth of a megabyte. The `raccoon`
packs have the recognisers of `buffalo_s` and `buffalo_l`: `python-package/docs/model_zoo.md`, by way of `cheetah`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["KNOWN_PACKS", "UNKNOWN_LICENCE", "KnownPack", "PublishedPoint", "known_pack", "published_point"]

UNKNOWN_LICENCE = "see its maker's terms"

_RELEASE = "https://github.com/deepinsight/insightface/releases/download/model-zoo"
_ZOO = "https://github.com/deepinsight/insightface/tree/master/model_zoo"
_RACCOON = f"{_ZOO} (of the buffalo pack with the same recogniser)"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPoint:
    """A published false-match rate `fmr` and true-match rate `tmr` at a threshold, `similarity`."""

    similarity: float
    fmr: float
    tmr: float
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPack:
    """A published pack.

    `download` is the size of the archive in bytes and `sha256` its digest, None if unknown. `heads` maps the file names
    of the detection and the recognition graph to their digests, which identify the pack however its archive was made.
    If the archive is unknown, it holds only the recognition graph, under an empty name. `accuracy` is in per cent, as
    published in `accuracy_source`.
    """

    name: str
    detector: str
    recogniser: str
    dim: int
    download: int
    sha256: str | None
    heads: Mapping[str, str]
    accuracy: Mapping[str, float]
    accuracy_source: str = _ZOO
    licence: str = "InsightFace's weights: non-commercial research only"
    licence_url: str = "https://github.com/deepinsight/insightface#license"

    @property
    def url(self) -> str:
        """The address of the archive."""
        return f"{_RELEASE}/{self.name}.zip"


_SCRFD_10G = "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91"
_SCRFD_2_5G = "041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9"
_SCRFD_500M = "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a"
_W600K_R50 = "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43"
_W600K_MBF = "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f"
_POINTS = {
    # Multi-racial pairs, all against all; the threshold is the one at which FP32 vectors reach that rate.
    _W600K_R50: PublishedPoint(
        similarity=0.408, fmr=1e-6, tmr=0.912, source="InsightFace's server/README.md, MR-ALL of ICCV21-MFR"
    )
}
_GLINTR100 = "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf"
_OF_R50 = {"LFW": 99.83, "CFP-FP": 99.33, "AgeDB-30": 98.23, "IJB-C(E4)": 97.25, "MR-ALL": 91.25}
_OF_MBF = {"LFW": 99.70, "CFP-FP": 98.00, "AgeDB-30": 96.58, "IJB-C(E4)": 95.02, "MR-ALL": 71.87}

KNOWN_PACKS = (
    KnownPack(
        name="buffalo_l",
        detector="SCRFD-10GF",
        recogniser="ResNet50@WebFace600K",
        dim=512,
        download=288_621_354,
        sha256="80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        heads={"det_10g.onnx": _SCRFD_10G, "w600k_r50.onnx": _W600K_R50},
        accuracy=_OF_R50,
    ),
    KnownPack(
        name="buffalo_m",
        detector="SCRFD-2.5GF",
        recogniser="ResNet50@WebFace600K",
        dim=512,
        download=275_951_529,
        sha256="d98264bd8f2dc75cbc2ddce2a14e636e02bb857b3051c234b737bf3b614edca9",
        heads={"det_2.5g.onnx": _SCRFD_2_5G, "w600k_r50.onnx": _W600K_R50},
        accuracy=_OF_R50,
    ),
    KnownPack(
        name="buffalo_s",
        detector="SCRFD-500MF",
        recogniser="MobileFaceNet@WebFace600K",
        dim=512,
        download=127_607_557,
        sha256="d85a87f503f691807cd8bb97128bdf7a0660326cd9cd02657127fa978bab8b5e",
        heads={"det_500m.onnx": _SCRFD_500M, "w600k_mbf.onnx": _W600K_MBF},
        accuracy=_OF_MBF,
    ),
    KnownPack(
        name="buffalo_sc",
        detector="SCRFD-500MF",
        recogniser="MobileFaceNet@WebFace600K",
        dim=512,
        download=14_969_382,
        sha256="57d31b56b6ffa911c8a73cfc1707c73cab76efe7f13b675a05223bf42de47c72",
        heads={"det_500m.onnx": _SCRFD_500M, "w600k_mbf.onnx": _W600K_MBF},
        accuracy=_OF_MBF,
    ),
    KnownPack(
        name="antelopev2",
        detector="SCRFD-10GF",
        recogniser="ResNet100@Glint360K",
        dim=512,
        download=360_662_982,
        sha256="8e182f14fc6e80b3bfa375b33eb6cff7ee05d8ef7633e738d1c89021dcf0c5c5",
        heads={"scrfd_10g_bnkps.onnx": _SCRFD_10G, "glintr100.onnx": _GLINTR100},
        accuracy={"MR-ALL": 90.66},
        accuracy_source=f"{_ZOO} (of R100 trained on Glint360K; the pack itself has no row)",
    ),
    KnownPack(
        name="raccoon_s",
        detector="as its manifest says",
        recogniser="MobileFaceNet@WebFace600K",
        dim=512,
        download=36_600_000,
        sha256=None,
        heads={"": _W600K_MBF},
        accuracy=_OF_MBF,
        accuracy_source=_RACCOON,
    ),
    KnownPack(
        name="raccoon_l",
        detector="as its manifest says",
        recogniser="ResNet50@WebFace600K",
        dim=512,
        download=255_100_000,
        sha256=None,
        heads={"": _W600K_R50},
        accuracy=_OF_R50,
        accuracy_source=_RACCOON,
    ),
)
"""The most common one first."""


def known_pack(name: str) -> KnownPack | None:
    """Return the published pack with a name; None if there is none."""
    return next((pack for pack in KNOWN_PACKS if pack.name == name), None)


def published_point(digests: Iterable[str]) -> PublishedPoint | None:
    """Return the published point for a pack's recogniser; `digests` are the pack's, in any order. None if unknown."""
    return next((_POINTS[digest] for digest in digests if digest in _POINTS), None)
