"""Arbitrary bytes against the decoder and against whole sessions. See `fuzz.py --help`."""
