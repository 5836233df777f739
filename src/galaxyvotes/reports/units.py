"""Quantities with their units, where these are known."""

__all__ = ["in_unit", "titled"]


def titled(quantity: str, unit: str) -> str:
    """A quantity as a title: radius (arcsec)."""
    return f"{quantity} ({unit})" if unit else quantity


def in_unit(number: str, unit: str) -> str:
    """A number that is written, with its unit: 3.2 arcsec."""
    return f"{number}\N{NO-BREAK SPACE}{unit}" if unit else number
