"""The unix port's stand-in for `machine`: a button that is pressed at every fifth look, an LED that prints."""


class Pin:
    IN = 0
    OUT = 1

    def __init__(self, number, mode, value=1):
        self._mode = mode
        self._value = value
        self._looks = 0

    def value(self, value=None):
        if value is not None:
            self._value = value
            print("led", value)
            return None
        if self._mode == Pin.OUT:
            return self._value
        self._looks += 1
        return 0 if self._looks % 5 == 0 else 1
