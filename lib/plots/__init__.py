"""Figures, drawn from tables and arrays of numbers; each has an alt text.

`style` has what all share; the other modules are named after what they show.
"""
