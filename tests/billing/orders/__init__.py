"""Orders, payments and deliveries: what the shop promises."""
