"""Ways to pay: what each of them is held to."""
