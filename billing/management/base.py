"""What all operator commands are; `relay` and `portal` have some, too."""

from django.core.management.base import BaseCommand


class OperatorCommand(BaseCommand):
    """A command run beside a system that runs, which has passed Django's checks when it started."""

    requires_system_checks = ()
