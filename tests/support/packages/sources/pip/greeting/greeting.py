"""How a day begins."""

from politeness import address


def greet(name):
    return f"Good morning, {address(name)}"
