"""CPython's stand-in for MicroPython's module `micropython`: what lib/ uses of it, doing nothing."""


def const(value: int) -> int:
    return value


def _same(function):
    return function


native = _same
viper = _same


def mem_info(*_verbose: int) -> None:
    pass
