# For those who freeze: the stock board plus fieldmqtt, this board's files and the firmware.
#   make BOARD=W5100S_EVB_PICO FROZEN_MANIFEST=<this file>
# boot.py, config.json and laninfo.txt stay in the file system.
include("$(MPY_DIR)/ports/rp2/boards/W5100S_EVB_PICO/manifest.py")
package("fieldmqtt", base_path="../../lib", opt=3)
module("board.py", base_path="../W5100S_EVB_PICO", opt=3)
freeze("../common", ("link.py", "wired.py", "rp2chip.py"), opt=3)
freeze("../../firmware", ("main.py", "clock.py", "commands.py", "config.py", "sensor_app.py", "sensors.py"), opt=3)
