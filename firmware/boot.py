# Runs at every start, before main.py and before any tool gets in: it does nothing, so nothing can block here.
# What a board does is in main.py; a mistake there still leaves the REPL and `mpremote` within reach.
