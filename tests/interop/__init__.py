"""Every broker, every case, both faces of the library. See `interop.py --help`."""
