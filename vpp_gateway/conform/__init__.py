"""Conformance: the shape of its reports."""
