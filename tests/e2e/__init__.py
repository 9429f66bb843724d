"""The whole way of a buyer in a real browser, against one running installation.

In a process of their own: Playwright keeps an event loop running in it.
"""
