"""`python -m galaxyvotes` is `galaxyvotes`."""

from galaxyvotes.cli import main

main()
