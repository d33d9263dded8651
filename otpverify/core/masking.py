"""How logs, errors and `repr` show a phone number."""


def mask(e164: str) -> str:
    """The number with all but its first two digits and its last two hidden.

    Args:
        e164: A number in E.164.

    Returns:
        Such as `"+37*******45"`; `"***"` for anything of five characters or fewer.
    """
    return f"{e164[:3]}{'*' * max(0, len(e164) - 5)}{e164[-2:]}" if len(e164) > 5 else "***"
