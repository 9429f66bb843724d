#!/usr/bin/env python
"""Django's command line. Beside `dev.py run` it works on the same state without any set-up."""

import os
import sys

from portal.dev import state


def prepare_environment() -> None:
    """Take secrets and addresses from the state folder unless the environment has its own."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    if "TOLLGATE_SECRET_KEY" in os.environ or "TOLLGATE_SECRET_KEY_FILE" in os.environ:
        return
    os.environ.update(state.environment(state.folder(os.environ), os.environ))


def main() -> None:
    """Run the command that the arguments name."""
    prepare_environment()
    from django.core.management import execute_from_command_line  # reads the environment

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
