"""What the api gives back: every record, in one place for those who annotate."""

from __future__ import annotations

from facesearch.api.compare import ComparedPhotos
from facesearch.api.keeping import CancelledSwitch, SwitchPreview
from facesearch.api.measure import Calibrated
from facesearch.api.models import Added, Licence, Pulled, Removal
from facesearch.api.status import IndexStatus, SwitchProgress
from facesearch.care.copies import Export
from facesearch.care.doctor import Finding
from facesearch.care.upkeep import Forgetting, Health
from facesearch.evaluation.compare_models import Standing
from facesearch.index.store import SearchFacts
from facesearch.indexing.diff import Report
from facesearch.indexing.model_switch import Switch
from facesearch.models.resolve import ListedModel, VerifiedPack
from facesearch.search.compare import Comparison
from facesearch.search.probes import Probe
from facesearch.types import Box, Detection, Face, FaceRecord, ModelInfo, Verdict

__all__ = [
    "Added",
    "Box",
    "Calibrated",
    "CancelledSwitch",
    "ComparedPhotos",
    "Comparison",
    "Detection",
    "Export",
    "Face",
    "FaceRecord",
    "Finding",
    "Forgetting",
    "Health",
    "IndexStatus",
    "Licence",
    "ListedModel",
    "ModelInfo",
    "Probe",
    "Pulled",
    "Removal",
    "Report",
    "SearchFacts",
    "Standing",
    "Switch",
    "SwitchPreview",
    "SwitchProgress",
    "Verdict",
    "VerifiedPack",
]
