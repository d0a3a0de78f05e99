"""Every record that the public interface returns, in one place for type annotations."""

from __future__ import annotations

from facesearch.api.compare import ComparedPhotos
from facesearch.api.galleries import ConnectedGallery
from facesearch.api.gallery import GalleryStatus, StoredProbe
from facesearch.api.keeping import CancelledSwitch, SwitchPreview
from facesearch.api.measure import Calibrated
from facesearch.api.models import Added, Licence, Pulled, Removal
from facesearch.api.people_news import News, SeenPerson
from facesearch.api.people_parts import PersonPart
from facesearch.api.people_records import PersonDetails, PersonSummary
from facesearch.api.photos import IndexedPhoto
from facesearch.api.pictures import Picture
from facesearch.api.scan import ScanResult
from facesearch.api.status import IndexStatus, SwitchProgress
from facesearch.care.check import Health
from facesearch.care.copies import Export
from facesearch.care.doctor import Finding
from facesearch.care.forget import Forgetting
from facesearch.care.person_folders import FolderExport
from facesearch.care.person_report import HeldFace, HeldStatement, PersonReport
from facesearch.care.restore import Backup
from facesearch.catalog.kept_out import Template
from facesearch.catalog.sql import Table
from facesearch.evaluation.compare_models import Standing
from facesearch.galleries.push import Difference, Pushed
from facesearch.galleries.shared import Method, PushedIndex, Recall
from facesearch.index.vector_file import SearchFacts
from facesearch.indexing.model_switch import Switch
from facesearch.indexing.report import Report
from facesearch.models.resolve import ListedModel, VerifiedPack
from facesearch.people.exchange.exporting import Exported
from facesearch.people.exchange.importing import Imported
from facesearch.people.history import Action, Told
from facesearch.people.problems import Problem
from facesearch.people.regroup import Grouping
from facesearch.people.review import Question, Whom
from facesearch.people.sweeping import Sweep, SweptFace
from facesearch.people.tagging import TaggedFace
from facesearch.search.compare import Comparison
from facesearch.search.naming import NamedFace
from facesearch.search.probes import Probe, QueryPhoto
from facesearch.search.result import Answer, Hit, QueryResult
from facesearch.types import Box, Detection, Face, FaceRecord, ModelInfo, PhotoBytes, Verdict

__all__ = [
    "Action",
    "Added",
    "Answer",
    "Backup",
    "Box",
    "Calibrated",
    "CancelledSwitch",
    "ComparedPhotos",
    "Comparison",
    "ConnectedGallery",
    "Detection",
    "Difference",
    "Export",
    "Exported",
    "Face",
    "FaceRecord",
    "Finding",
    "FolderExport",
    "Forgetting",
    "GalleryStatus",
    "Grouping",
    "Health",
    "HeldFace",
    "HeldStatement",
    "Hit",
    "Imported",
    "IndexStatus",
    "IndexedPhoto",
    "Licence",
    "ListedModel",
    "Method",
    "ModelInfo",
    "NamedFace",
    "News",
    "PersonDetails",
    "PersonPart",
    "PersonReport",
    "PersonSummary",
    "PhotoBytes",
    "Picture",
    "Probe",
    "Problem",
    "Pulled",
    "Pushed",
    "PushedIndex",
    "QueryPhoto",
    "QueryResult",
    "Question",
    "Recall",
    "Removal",
    "Report",
    "ScanResult",
    "SearchFacts",
    "SeenPerson",
    "Standing",
    "StoredProbe",
    "Sweep",
    "SweptFace",
    "Switch",
    "SwitchPreview",
    "SwitchProgress",
    "Table",
    "TaggedFace",
    "Template",
    "Told",
    "Verdict",
    "VerifiedPack",
    "Whom",
]
