"""Runs a script of this folder with a broker that is named by URLs: url=URL[,URL…], with version=5 perhaps.

micropython web.py SCRIPT CASE sync|asyncio PORT url=ws://localhost:8080/mqtt [cafile=PATH] [key=value…]
"""

import sys

import fieldmqtt

_given = {}
for _argument in sys.argv[2:]:
    if _argument.startswith("url="):
        _urls = _argument[4:].split(",")
        _given["server"] = _urls if len(_urls) > 1 else _urls[0]
    elif _argument.startswith("cafile="):
        _given["ssl_params"] = {"cafile": _argument[7:]}
    elif _argument.startswith("server_hostname="):
        _given["ssl_params"]["server_hostname"] = _argument[16:]
    elif _argument.startswith("version="):
        _given["version"] = int(_argument[8:])


def _through(kind):
    def make(client_id, server, **settings):
        settings.update(_given)
        return kind(client_id, settings.pop("server"), **settings)

    return make


fieldmqtt.MQTTClient = _through(fieldmqtt.MQTTClient)
fieldmqtt.AsyncMQTTClient = _through(fieldmqtt.AsyncMQTTClient)
sys.argv.pop(0)
with open(sys.argv[0]) as _file:
    exec(_file.read())
