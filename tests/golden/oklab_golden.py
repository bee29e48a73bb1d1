# SPDX-License-Identifier: MIT
"""Prints the sRGB colours that report/colour_test.cpp expects of Oklab ones, by coloraide 8.13.1."""
from coloraide import Color

for lab in ((0.985, -0.012, 0.035), (0.6, 0.1, -0.05), (0.275, -0.01, -0.105), (0.5, 0, 0), (0, 0, 0), (1, 0, 0), (0.7, 0.15, 0.1)):
    print(lab, Color("oklab", lab).convert("srgb").to_string(hex=True, fit="clip"))
