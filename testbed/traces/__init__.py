"""Readers of trace formats. One file each; `testbed.traces.read` picks by content."""

from testbed.registry import Registry

formats = Registry("trace format")

formats.register("mahimahi", "testbed.traces.mahimahi:Mahimahi")
formats.register("rate-csv", "testbed.traces.rate_csv:RateCsv")
