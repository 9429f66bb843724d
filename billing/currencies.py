"""How many digits a currency has behind the point (ISO 4217): what one minor unit is. Pure.

Called by whoever shows a sum or tells it to a payment provider.
"""

_DECIMALS = {
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
}


def decimals(currency: str) -> int:
    """Return how many digits a sum of this currency, given in capitals, has behind the point."""
    return _DECIMALS.get(currency, 2)
