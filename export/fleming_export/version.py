"""The version of the exporter."""

VERSION = "0.1.0"
