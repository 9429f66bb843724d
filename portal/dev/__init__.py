"""What `python3 dev.py` does: environments, state, and the processes of one machine.

`install.py` and `cli.py` run under any Python 3.11 or newer before anything is installed,
so they import the standard library only. Nothing here imports Django. Called by `dev.py`,
by the test environment (`tests/plugins/`) and by nobody else.
"""
