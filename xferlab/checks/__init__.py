"""Checks of data and plugins before the first step: are they what they declare?"""
