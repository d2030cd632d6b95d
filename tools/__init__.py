"""The host side of fieldmqtt: `python -m tools --help`."""
