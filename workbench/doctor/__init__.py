"""Does everything the workbench needs work on this machine? Looked at, and tried; the network is never asked."""

from workbench.doctor.check import FAIL, OK, WARN, Check
from workbench.doctor.examining import examine

__all__ = ["FAIL", "OK", "WARN", "Check", "examine"]
