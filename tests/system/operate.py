"""Runs operator commands in one process: a JSON list of command lines in, what they printed out.

Started by `running.RunningSystem.operate`, because starting Django for each command would be most
of the time that a test takes.
"""

import io
import json
import sys

import manage


def main() -> None:
    """Run the commands in order; one that fails ends it all."""
    manage.prepare_environment()
    import django
    from django.core.management import call_command

    django.setup()
    printed = []
    for command in json.load(sys.stdin):
        output = io.StringIO()
        call_command(*command, stdout=output)
        printed.append(output.getvalue().strip())
    json.dump(printed, sys.stdout)


if __name__ == "__main__":
    main()
