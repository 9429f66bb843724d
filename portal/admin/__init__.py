"""The admin of all three packages, one module per subject; `pages` lists them."""
