#!/usr/bin/env python3
"""Where the only Vulkan device is a software driver, verbs use it or the CPU device, whichever was faster here.

  default_device_tool.py NIBBLE SCRATCH
"""
import json
import os
import sys

import tool as helpers
from tool import Tool

KEPT = os.path.join("cache", "nibble", "device-times.json")


def default(tool):
    """Index and reason of the default device, and the device that quantize uses without --device."""
    done = tool.passes("devices", "--json")
    standard = json.loads(done.out)["default"]
    tool.check("default: " + standard["name"] in done.err, f"devices: {done.err!r}")
    run = tool.passes("quantize", "model", "-o", "out", "--force", "--json", "--type", "int8")
    used = json.loads(run.out)["device"]
    tool.check(standard["name"] in str(used), f"devices says {standard}, quantize uses {used}")
    return standard["index"], standard["why"] or ""


def main():
    tool = Tool(sys.argv[1], sys.argv[2])
    helpers.model("model")
    os.environ["XDG_CACHE_HOME"] = os.path.abspath("cache")
    os.environ.pop("NIBBLE_DEVICE", None)
    _, why = default(tool)
    tool.check("times as fast as" in why and KEPT in why, why)
    kept = json.loads(helpers.read(KEPT))
    for cpu, index in ((2e-3, 0), (5e-4, 1)):  # slower than the driver, faster
        kept["vulkan"] = {"quantize_s": 1e-3, "product_s": 1e-3}
        kept["cpu"] = {"quantize_s": cpu, "product_s": cpu}
        helpers.write(KEPT, json.dumps(kept))
        found, why = default(tool)
        tool.check(found == index and "2.0 times" in why, f"{cpu}: device {found}, {why}")
    # Times of another machine are measured anew, and kept.
    helpers.write(KEPT, json.dumps({**kept, "key": "another"}))
    default(tool)
    tool.check(json.loads(helpers.read(KEPT))["key"] == kept["key"], "times of another machine are used")
    # Variables and options come first.
    os.environ["NIBBLE_DEVICE"] = "0"
    found, why = default(tool)
    tool.check(found == 0 and why == "NIBBLE_DEVICE says so", f"NIBBLE_DEVICE: {found}, {why}")
    run = tool.passes("quantize", "model", "-o", "out", "--force", "--json", "--device", "cpu")
    tool.check(json.loads(run.out)["device"] == "cpu", f"--device: {run.out[:200]}")
    os.environ["NIBBLE_DEVICE"] = "none such"
    tool.refused('no device "none such"', "quantize", "model", "-o", "out", "--force")
    tool.end()


main()
