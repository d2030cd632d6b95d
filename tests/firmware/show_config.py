"""Print what config.load() says of the config.json in this folder: the configuration as JSON, or "error: …".

With an argument: on a board whose clock is not kept.
"""

import json
import sys

import config

try:
    print(json.dumps(config.load(keeps_time=len(sys.argv) < 2)))
except ValueError as e:
    print("error:", e)
