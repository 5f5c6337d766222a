"""How somebody is addressed."""


def address(name):
    return f"dear {name}"
