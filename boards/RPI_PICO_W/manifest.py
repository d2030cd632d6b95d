# For those who freeze: the stock board plus fieldmqtt, this board's files and the firmware.
#   make BOARD=RPI_PICO_W FROZEN_MANIFEST=<this file>
# boot.py, config.json and laninfo.txt stay in the file system.
include("$(MPY_DIR)/ports/rp2/boards/RPI_PICO_W/manifest.py")
package("fieldmqtt", base_path="../../lib", opt=3)
module("board.py", base_path=".", opt=3)
freeze("../common", ("link.py", "wifi.py", "rp2chip.py"), opt=3)
freeze("../../firmware", ("main.py", "clock.py", "commands.py", "config.py", "sensor_app.py", "sensors.py"), opt=3)
