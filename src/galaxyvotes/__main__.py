"""`python -m galaxyvotes` is `galaxyvotes`."""

from galaxyvotes.cli.app import main

main()
