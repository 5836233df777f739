"""Figures of predictions, trees and networks, drawn in one style."""
