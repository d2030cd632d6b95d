"""Print what config.load() says of the config.json in this folder: the configuration as JSON, or "error: …"."""

import json

import config

try:
    print(json.dumps(config.load()))
except ValueError as e:
    print("error:", e)
