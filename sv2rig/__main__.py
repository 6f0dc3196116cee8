"""`python -m sv2rig`."""

from sv2rig.cli.main import run

run()
