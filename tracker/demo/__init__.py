"""The whole main job without keys or internet: a recording, a loopback server that plays it, a clock."""
