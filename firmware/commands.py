"""Commands: JSON that arrives at <prefix>/<name>/command, answered at <prefix>/<name>/result.

    {"command": "interval", "value": 5}      seconds between readings, until the next restart
    {"command": "led", "value": true}
    {"command": "publish"}                   take a reading now
    {"command": "reboot"}

A field "id" (a number, or a text of at most 64 bytes) comes back in the answer. An answer has "ok": true and perhaps
a "value", or "ok": false and an "error".
To add a command, write a function f(app, value) and put it into COMMANDS; it raises ValueError with what is wrong.
"""

import json

from micropython import const

import config

_MAX_ID = const(64)  # bytes
_MAX_NUMBER = const(1 << 53)  # beyond it JSON readers disagree; also shuts out infinity


def _interval(app, value):
    least, most = config.bounds("interval")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError("value: a number of seconds from %s to %s" % (least, most))
    app.set_interval(value)
    return value


def _led(app, value):
    if app.board.led is None:
        raise ValueError("this board has no LED")
    if value not in (True, False):
        raise ValueError("value: true or false")
    app.board.led.value(int(value))
    return bool(value)


def _publish(app, value):
    app.take_reading()


def _reboot(app, value):
    app.reboot_wanted = True


COMMANDS = {"interval": _interval, "led": _led, "publish": _publish, "reboot": _reboot}


def answer(app, payload, retained=False):
    """Carry out the command in `payload` (bytes); return the answer, a dict. Raises nothing for a bad command."""
    result: dict = {"ok": False}
    try:
        if retained:
            # it would come again after every restart: a retained "reboot" would never end
            raise ValueError("retained commands are not carried out")
        request = _parse(payload)
        result["id"] = _check_id(request.get("id"))
        name = request.get("command")
        command = _find(name)
        result["command"] = name
        result["value"] = command(app, request.get("value"))
        result["ok"] = True
    except ValueError as e:  # what json and text decoding raise is one too
        result["error"] = str(e)
    return {key: value for key, value in result.items() if value is not None}


def _parse(payload):
    try:
        request = json.loads(payload)
    except ValueError:
        raise ValueError('not JSON, such as {"command": "publish"}')
    if not isinstance(request, dict):
        raise ValueError('not an object, such as {"command": "publish"}')
    return request


def _check_id(given):
    """Return `given` if it can be sent back; what is nested a thousand deep can be read, but not written again."""
    if isinstance(given, str):
        fine = len(given.encode()) <= _MAX_ID
    elif isinstance(given, (int, float)) and not isinstance(given, bool):
        fine = -_MAX_NUMBER <= given <= _MAX_NUMBER
    else:
        fine = given is None
    if not fine:
        raise ValueError("id: a number, or a text of at most %d bytes" % _MAX_ID)
    return given


def _find(name):
    command = COMMANDS.get(name) if isinstance(name, str) else None
    if command is None:
        raise ValueError("command: unknown; there are %s" % ", ".join(sorted(COMMANDS)))
    return command
