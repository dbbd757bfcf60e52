"""What looks wrong in a run, and what to try: files in, sentences out."""

from tooldojo.training.doctor.reading import Symptoms, read_symptoms
from tooldojo.training.doctor.rules import Finding, diagnose

__all__ = ["Finding", "Symptoms", "diagnose", "read_symptoms"]
