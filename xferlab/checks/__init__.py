"""Questions to plugins and data before the first step: are they what they say they are?"""
