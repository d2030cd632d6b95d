# For those who freeze: the stock board plus fieldmqtt, this board's files and the firmware.
#   make BOARD=ESP32_GENERIC_S3 FROZEN_MANIFEST=<this file>
# boot.py, config.json and laninfo.txt stay in the file system.
include("$(PORT_DIR)/boards/manifest.py")
package("fieldmqtt", base_path="../../lib", opt=3)
module("board.py", base_path="../ESP32_GENERIC", opt=3)
freeze("../common", ("link.py", "wifi.py"), opt=3)
freeze("../../firmware", ("main.py", "clock.py", "commands.py", "config.py", "sensor_app.py", "sensors.py"), opt=3)
