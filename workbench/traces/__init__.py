"""Traces: record, score, import, read and write what one decode leaves behind."""
