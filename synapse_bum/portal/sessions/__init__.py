"""Sessions: sealed cookies, when one ends, and what all processes must know of them."""
