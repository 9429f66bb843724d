"""Mails to buyers: `delivery` empties the outbox, `letters` says what is in them, `envelope` sends.

A mail is a row of `billing.outbox` until it leaves; nothing is rendered or kept before. The task
that wakes `delivery` is in `portal.tasks`.
"""
