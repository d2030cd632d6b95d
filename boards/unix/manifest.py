# For those who freeze: a unix port with fieldmqtt and the firmware inside.
#   make -C ports/unix FROZEN_MANIFEST=<this file>
include("$(PORT_DIR)/variants/standard/manifest.py")
package("fieldmqtt", base_path="../../lib", opt=3)
module("board.py", opt=3)
freeze("../../firmware", ("main.py", "clock.py", "commands.py", "config.py", "sensor_app.py", "sensors.py"), opt=3)
