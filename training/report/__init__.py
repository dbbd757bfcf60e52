"""`tooldojo report`: one self-contained HTML page about a run."""

from tooldojo.training.report.inputs import ReportError
from tooldojo.training.report.page import write_report
from tooldojo.training.report.provenance import Provenance, ProvenanceError, check_provenance

__all__ = ["Provenance", "ProvenanceError", "ReportError", "check_provenance", "write_report"]
